//! A face for an account until it has a picture: specks on plumage, in the person's own two colours, drawn from the
//! account key so that it looks the same everywhere.

use protocol::AccountId;
use yew::prelude::*;

/// Where specks may sit, in tenths: a hexagonal grid inside the circle.
const PLACES: [(u16, u16); 14] = [
    (140, 85),
    (260, 85),
    (80, 162),
    (200, 162),
    (320, 162),
    (140, 239),
    (260, 239),
    (80, 302),
    (200, 316),
    (320, 302),
    (34, 239),
    (366, 239),
    (200, 34),
    (200, 384),
];

/// The face of an account, this many pixels high.
pub fn avatar(account: &AccountId, size: &'static str) -> Html {
    let bytes = account.as_bytes();
    let hue = u32::from(bytes[0]) * 360 / 256;
    // Far enough from the first hue to be distinguishable, in either direction.
    let other = hue + 70 + u32::from(bytes[1]) * 220 / 256;
    let (ground, specks) = if bytes[2] & 1 == 0 {
        (
            format!("oklch(0.36 0.09 {hue})"),
            format!("oklch(0.83 0.13 {other})"),
        )
    } else {
        (
            format!("oklch(0.84 0.09 {hue})"),
            format!("oklch(0.42 0.14 {other})"),
        )
    };
    let turn = format!("rotate({} 200 200)", u32::from(bytes[3]) * 360 / 256);
    html! {
        <svg class="avatar" width={size} height={size} viewBox="0 0 400 400" aria-hidden="true" focusable="false">
            <circle cx="200" cy="200" r="200" fill={ground} />
            <g fill={specks} transform={turn}>
                { for PLACES.iter().zip(&bytes[4..]).map(|((x, y), byte)| {
                    let radius = match byte & 3 { 0 => "13", 1 => "23", 2 => "33", _ => "44" };
                    html! { <circle cx={x.to_string()} cy={y.to_string()} r={radius} /> }
                }) }
            </g>
        </svg>
    }
}
