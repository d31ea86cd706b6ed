//! The sample people, and what they write.

use engine::api::FeedView;
use protocol::{DeviceId, EntryId, Timestamp};

use super::world::{MINUTE_MS, bytes};

/// What is stored of a person's devices: of most everything, of some more is known.
pub(super) fn feeds(index: usize, now_ms: u64) -> Vec<FeedView> {
    let names = ["Firefox on Linux", "Safari on an iPhone", "Chrome on Android"];
    let devices = names
        .into_iter()
        .take(1 + index % 3)
        .zip(200 + 10 * index as u64..);
    devices
        .map(|(name, seed)| FeedView {
            device: DeviceId(bytes(seed)),
            name: name.to_owned(),
            entries: 40 + seed % 13,
            posts: 30 + seed % 7,
            head: EntryId(bytes(seed + 1_000)),
            signed_at: Timestamp(now_ms - (seed - 199) * 90 * MINUTE_MS),
            missing: if index == 3 { 12 } else { 0 },
        })
        .collect()
}

/// A recovery phrase that is none.
pub(super) const WORDS: &str = "flock murmur window candle orbit velvet river anchor meadow copper signal lantern \
     harbor pencil winter garden marble thunder violet pocket summit whisper cradle ember";
/// Names, and what they say of themselves.
pub(super) const PEOPLE: [(&str, &str); 8] = [
    (
        "Ada Lindqvist",
        "Ornithologist, mostly at dusk. Field notes from the reed beds at Tåkern.",
    ),
    ("Bo", "Bicycles, bread, and the odd compiler."),
    (
        "Célestine Okafor",
        "Radio amateur F5XYZ · https://example.org/celestine · #hamradio",
    ),
    ("دانا الحسن", "أكتب عن المدن والطيور."),
    ("Emil", ""),
    (
        "Fenna van der Meer-Oosterhuis",
        "Botanist. Opinions are the moss's own.",
    ),
    ("Giò", "Luthier in Cremona."),
    ("Hana", "Night trains and small libraries."),
];
/// What they write.
pub(super) const TEXTS: [&str; 14] = [
    "Forty thousand birds over the reed bed tonight, and not one of them in charge.",
    "Starter doubled in three hours. Summer is here.\n\nRecipe as promised: https://example.org/bread/rye-with-caraway-and-a-very-long-address-indeed#method",
    "Worked a station on the Azores with two watts and a wire in a plum tree. #hamradio #qrp",
    "الطيور تحلّق كأنها فكرة واحدة.",
    "Is anyone else's browser holding 200 tabs, or is that a cry for help?",
    "Sphagnum can hold twenty times its own weight in water. I think about this more than is reasonable.",
    "The spruce came down from Paneveggio today. You tap it and it answers.",
    "Rule of the night train: whoever falls asleep first owns the window.",
    "Posted from a ferry with no signal whatsoever. If you read this, it found its own way out.",
    "Field note, day 12.\nWind SW 3.\nVisibility good.\n1 marsh harrier, female.\n2 bearded tits.\nStarlings from 17:40.\n17:52 first turn.\n17:58 second group joins from the east.\n18:04 peregrine, three passes, no luck.\n18:11 the whole thing folds into the reeds like a letter into an envelope.\n18:12 silence.\n18:15 the noise begins: forty thousand opinions on sleeping places.\n18:40 dark.\n18:41 still opinions.\nWalked home.",
    "Seven. It is always seven. Each bird minds the seven nearest, and that is enough for all of them.",
    "New neck for the 1926 parlour guitar. Nobody will see the joint, which is the point of joints.",
    "Today I learned that “murmuration” is a fifteenth-century word for the sound, not the sight.",
    "#birds #atDusk: see you at the tower at half past five?",
];
