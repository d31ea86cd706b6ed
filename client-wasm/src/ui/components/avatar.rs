//! A face for an account until it has a picture: specks on plumage, in the person's own two colours, drawn from the
//! account key so that it looks the same everywhere.

use protocol::AccountId;
use yew::prelude::*;

/// Whose face, and how large.
#[derive(Properties, PartialEq)]
pub struct AvatarProps {
    /// Whose.
    pub account: AccountId,
    /// In pixels.
    #[prop_or(44)]
    pub size: u32,
}

/// Where specks may sit: a hexagonal grid inside the circle.
const PLACES: [(f32, f32); 14] = [
    (14.0, 8.5),
    (26.0, 8.5),
    (8.0, 16.2),
    (20.0, 16.2),
    (32.0, 16.2),
    (14.0, 23.9),
    (26.0, 23.9),
    (8.0, 30.2),
    (20.0, 31.6),
    (32.0, 30.2),
    (3.4, 23.9),
    (36.6, 23.9),
    (20.0, 3.4),
    (20.0, 38.4),
];

/// See [`AvatarProps`].
#[component]
pub fn Avatar(props: &AvatarProps) -> Html {
    let bytes = props.account.as_bytes();
    let hue = f32::from(bytes[0]) * 360.0 / 256.0;
    // Far enough from the first to be told apart, in either direction.
    let other = hue + 70.0 + f32::from(bytes[1]) * 220.0 / 256.0;
    let (ground, specks) = if bytes[2] & 1 == 0 {
        (
            format!("oklch(0.36 0.09 {hue:.0})"),
            format!("oklch(0.83 0.13 {other:.0})"),
        )
    } else {
        (
            format!("oklch(0.84 0.09 {hue:.0})"),
            format!("oklch(0.42 0.14 {other:.0})"),
        )
    };
    let turn = format!("rotate({} 20 20)", u32::from(bytes[3]) * 360 / 256);
    let size = props.size.to_string();
    html! {
        <svg class="avatar" width={size.clone()} height={size} viewBox="0 0 40 40" aria-hidden="true" focusable="false">
            <circle cx="20" cy="20" r="20" fill={ground} />
            <g fill={specks} transform={turn}>
                { for PLACES.iter().zip(&bytes[4..]).map(|((x, y), byte)| {
                    let radius = match byte & 3 { 0 => 1.3, 1 => 2.3, 2 => 3.3, _ => 4.4 };
                    html! { <circle cx={x.to_string()} cy={y.to_string()} r={radius.to_string()} /> }
                }) }
            </g>
        </svg>
    }
}
