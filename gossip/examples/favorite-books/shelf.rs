//! Which books a node can choose from.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::wire::is_title;

/// More lines of a file than this are not read.
const TITLES_MAX: usize = 100_000;

/// Old enough to belong to everybody.
const CLASSICS: &[&str] = &[
    "A Christmas Carol",
    "A Tale of Two Cities",
    "Alice's Adventures in Wonderland",
    "Anna Karenina",
    "Around the World in Eighty Days",
    "Black Beauty",
    "Candide",
    "Cranford",
    "Crime and Punishment",
    "Dead Souls",
    "Don Quixote",
    "Dracula",
    "Emma",
    "Fathers and Sons",
    "Faust",
    "Flatland",
    "Frankenstein",
    "Great Expectations",
    "Gulliver's Travels",
    "Hamlet",
    "Heart of Darkness",
    "Heidi",
    "Jane Eyre",
    "Kim",
    "Kidnapped",
    "Leaves of Grass",
    "Les Misérables",
    "Little Women",
    "Madame Bovary",
    "Mansfield Park",
    "Middlemarch",
    "Moby-Dick; or, The Whale",
    "Northanger Abbey",
    "Oblomov",
    "Persuasion",
    "Pinocchio",
    "Pride and Prejudice",
    "Robinson Crusoe",
    "Sense and Sensibility",
    "Silas Marner",
    "The Adventures of Huckleberry Finn",
    "The Adventures of Sherlock Holmes",
    "The Brothers Karamazov",
    "The Call of the Wild",
    "The Count of Monte Cristo",
    "The Divine Comedy",
    "The Hunchback of Notre-Dame",
    "The Iliad",
    "The Jungle Book",
    "The Moonstone",
    "The Odyssey",
    "The Picture of Dorian Gray",
    "The Scarlet Letter",
    "The Sorrows of Young Werther",
    "The Strange Case of Dr Jekyll and Mr Hyde",
    "The Tale of Genji",
    "The Three Musketeers",
    "The Time Machine",
    "The Turn of the Screw",
    "The War of the Worlds",
    "The Wonderful Wizard of Oz",
    "Treasure Island",
    "Twenty Thousand Leagues Under the Seas",
    "Vanity Fair",
    "Walden",
    "War and Peace",
    "Wuthering Heights",
];

/// The built-in titles, or one per line of a file.
pub(crate) fn titles(file: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let Some(file) = file else {
        return Ok(CLASSICS.iter().map(|&title| title.to_owned()).collect());
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the books in {}", file.display()))?;
    let titles: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| is_title(line))
        .take(TITLES_MAX)
        .map(str::to_owned)
        .collect();
    ensure!(
        !titles.is_empty(),
        "{} holds no title; it should have one per line",
        file.display()
    );
    Ok(titles)
}
