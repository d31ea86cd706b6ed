//! English texts of the recovery words.

pub const PHRASE_TITLE: &str = "Your 24 recovery words";
pub const PHRASE_LEAD: &str = "These words are your account. They bring it back on a new device, or here if the browser \
     clears its data. Nobody can send them to you again, so keep them where only you can find them.";
pub const PHRASE_LIST: &str = "Recovery words, in order";
pub const PHRASE_COPY: &str = "Copy";
pub const PHRASE_DOWNLOAD: &str = "Download";
pub const PHRASE_FILE: &str = "starling-recovery-words.txt";
pub const PHRASE_CONFIRM: &str = "I have written them down";
pub const PHRASE_LATER: &str = "Later";
pub const PHRASE_DONE: &str = "Done. The words are no longer kept on this device.";
pub const PHRASE_GONE: &str = "You confirmed your recovery words. They are not kept on this device any more, so nobody \
     who takes it can take your account.";
pub const QUIZ_TITLE: &str = "A quick check";
pub const QUIZ_LEAD: &str = "Pick the words from what you wrote down.";
pub const QUIZ_WRONG: &str = "That is another word. Look at what you wrote down and pick again.";
pub const QUIZ_BACK: &str = "Show the words again";
pub const RESTORE_LABEL: &str = "Recovery words";
pub const RESTORE_HINT: &str = "In order, separated by spaces or lines.";

/// The question of the quick check.
pub fn quiz_question(number: usize) -> String {
    format!("Which is word number {number}?")
}

/// The file with the recovery words.
pub fn phrase_file(name: &str, account: &str, words: &[String]) -> String {
    let mut text = format!("Starling recovery words of {name}\nAccount {account}\n\n");
    for (index, word) in words.iter().enumerate() {
        text.push_str(&format!("{:>2}. {word}\n", index + 1));
    }
    text.push_str(
        "\nAnyone who has these words controls the account. Keep them where only you can find them.\n",
    );
    text
}
pub const PHRASE_REMIND: &str =
    "Your account exists only in this browser until you write down your recovery words.";
pub const PHRASE_REMIND_OPEN: &str = "Show the words";
pub const PHRASE_SECTION: &str = "Recovery words";
