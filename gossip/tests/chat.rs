//! The example `chat`, as people use it: processes that are typed into and read.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Far beyond what any of it takes.
const DEADLINE: Duration = Duration::from_secs(30);

struct Member {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Lines<BufReader<ChildStdout>>,
}

/// Examples are built beside the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/PROFILE/deps");
    profile.join("examples/chat")
}

impl Member {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("the example `chat` is built");
        let screen = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self {
            keyboard: child.stdin.take(),
            screen,
            child,
        }
    }

    async fn says(&mut self, line: &str) {
        let keyboard = self.keyboard.as_mut().expect("a member who has not hung up");
        let typed = keyboard.write_all(format!("{line}\n").as_bytes()).await;
        typed.expect("a member that runs");
    }

    /// Reads until a line fits.
    async fn sees<T>(&mut self, fits: impl Fn(&str) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let reading = async {
            loop {
                let line = self.screen.next_line().await.expect("text");
                let line = line.unwrap_or_else(|| panic!("the member ended; it had written {seen:#?}"));
                if let Some(found) = fits(&line) {
                    return found;
                }
                seen.push(line);
            }
        };
        let found = tokio::time::timeout(DEADLINE, reading).await;
        found.unwrap_or_else(|_| panic!("only {seen:#?}"))
    }

    async fn sees_line(&mut self, expected: &str) {
        self.sees(|line| (line == expected).then_some(())).await;
    }

    async fn ends(&mut self) {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = ended.expect("the member ends").expect("the system says how");
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn three_people_talk_although_the_first_has_gone() {
    let mut ada = Member::start(&["--name", "Ada"]);
    let address = ada
        .sees(|line| line.strip_prefix("* Ada is at ").map(str::to_owned))
        .await;

    let mut bob = Member::start(&["--name", "Bob", "--join", &address]);
    bob.sees_line("* joined").await;
    ada.sees_line("* Bob came").await;
    let mut cleo = Member::start(&["--name", "Cleo", "--join", &address]);
    cleo.sees_line("* joined").await;
    ada.sees_line("* Cleo came").await;
    bob.sees_line("* Cleo came").await;

    cleo.says("hello, both").await;
    ada.sees_line("Cleo: hello, both").await;
    bob.sees_line("Cleo: hello, both").await;

    // The member that began it is not needed.
    ada.says("/quit").await;
    ada.ends().await;
    bob.sees_line("* Ada left").await;
    cleo.sees_line("* Ada left").await;
    bob.says("\u{1b}[31mstill here?\u{7}").await;
    // What others write cannot colour the screen or ring.
    cleo.sees_line("Bob:  [31mstill here? ").await;
    cleo.says("/peers").await;
    let peers = cleo
        .sees(|line| line.starts_with("* 1 neighbours: ").then(|| line.to_owned()))
        .await;
    assert!(!peers.contains(&address), "{peers}");

    // The end of the input is a way to leave too.
    cleo.keyboard = None;
    cleo.ends().await;
    bob.sees_line("* Cleo left").await;
}

#[tokio::test]
async fn nobody_at_the_address_is_said_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let nobody = listener.local_addr().expect("bound");
    drop(listener);
    let output = Command::new(program())
        .args(["--name", "Ada", "--join", &nobody.to_string()])
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(DEADLINE, output).await;
    let output = output.expect("it ends").expect("the example `chat` is built");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("{nobody} cannot be reached")), "{said}");
}
