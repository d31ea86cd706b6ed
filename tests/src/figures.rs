//! Measured figures: one JSON object per line, beside the target they were measured for.

use serde::Serialize;

/// Whether a figure should be small or large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Good when not above this.
    AtMost(f64),
    /// Good when not below this.
    AtLeast(f64),
    /// Printed to be compared, with nothing promised.
    None,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    bench: &'a str,
    figure: &'a str,
    value: f64,
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// Prints one figure on standard output.
pub fn print(bench: &str, figure: &str, value: f64, unit: &str, target: Target) {
    let (target, met) = match target {
        Target::AtMost(most) => (Some(format!("<= {most}")), Some(value <= most)),
        Target::AtLeast(least) => (Some(format!(">= {least}")), Some(value >= least)),
        Target::None => (None, None),
    };
    // Three decimals: what is measured here is not known any better.
    let value = (value * 1000.0).round() / 1000.0;
    let row = Row {
        bench,
        figure,
        value,
        unit,
        target,
        met,
    };
    println!(
        "{}",
        serde_json::to_string(&row).expect("plain numbers and words")
    );
}

/// The value below which a share (0 to 1) of the samples lies: nearest rank. 0 when there are none.
#[must_use]
pub fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_samples() {
        let samples = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(percentile(&samples, 0.5), 3.0);
        assert_eq!(percentile(&samples, 0.99), 5.0);
        assert_eq!(percentile(&samples, 0.0), 1.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
