//! Where a relay stands, as an operator writes it.

use std::fmt;
use std::str::FromStr;

use protocol::messages::directory::Location;
use serde::{Deserialize, Serialize};

/// A place on Earth as people write it: `52.5,13.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Coordinates(pub Location);

/// Not a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place; one looks like 52.5,13.4: degrees north, degrees east")]
pub struct CoordinatesError(String);

impl FromStr for Coordinates {
    type Err = CoordinatesError;

    fn from_str(text: &str) -> Result<Self, CoordinatesError> {
        let wrong = || CoordinatesError(text.to_owned());
        let degrees = |text: &str, most: f64| {
            let degrees: f64 = text.trim().parse().ok()?;
            // Hundredths of at most 180 degrees fit.
            (degrees.abs() <= most).then(|| (degrees * 100.0).round() as i16)
        };
        let (latitude, longitude) = text.split_once(',').ok_or_else(wrong)?;
        Ok(Self(Location {
            latitude: degrees(latitude, 90.0).ok_or_else(wrong)?,
            longitude: degrees(longitude, 180.0).ok_or_else(wrong)?,
        }))
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let degrees = |hundredths: i16| f64::from(hundredths) / 100.0;
        write!(f, "{},{}", degrees(self.0.latitude), degrees(self.0.longitude))
    }
}

impl TryFrom<String> for Coordinates {
    type Error = CoordinatesError;

    fn try_from(text: String) -> Result<Self, CoordinatesError> {
        text.parse()
    }
}

impl From<Coordinates> for String {
    fn from(place: Coordinates) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Coordinates;

    #[test]
    fn places_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Coordinates>().ok().map(|place| place.to_string());
        assert_eq!(read("52.517, 13.4"), Some("52.52,13.4".to_owned()));
        assert_eq!(read("-90,180"), Some("-90,180".to_owned()));
        for wrong in ["", "52.5", "91,0", "0,181", "NaN,0", "a,b"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
