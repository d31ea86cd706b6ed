//! Text for people: counts, tables, and what others wrote.

use std::fmt::Write as _;

/// A number with its noun.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Rows of cells, lined up.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    text
}

/// Text of others in one line, without characters that move the cursor of a terminal or turn the words around them.
pub(crate) fn plain(text: &str) -> String {
    ::text::visible::name(text)
}

#[cfg(test)]
mod tests {
    use super::{counted, plain, table};

    #[test]
    fn a_count_has_the_noun_that_fits() {
        assert_eq!(counted(0, "relay", "relays"), "0 relays");
        assert_eq!(counted(1, "relay", "relays"), "1 relay");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["é", "b"]), row(["ccc", ""])]), "é    b\nccc\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn strangers_write_no_control_or_format_characters() {
        assert_eq!(plain("a\u{1b}[31mb\u{202e}c"), "a [31mbc");
    }
}
