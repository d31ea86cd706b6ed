//! The inner walls of the relay's program: which module may name which.

use crate::walls::{self, Walls};

/// Which top-level module of the program names which others. The list is exact, and each module names only modules
/// above it.
const WALLS: &Walls = &[
    ("text", &[]),
    ("secrets", &[]),
    ("drain", &[]),
    ("names", &[]),
    ("webrtc", &[]),
    ("websocket", &[]),
    ("identity", &["secrets"]),
    ("invitations", &["secrets"]),
    ("logging", &[]),
    ("config", &["logging", "names"]),
    ("health", &[]),
    (
        "web",
        &[
            "config",
            "drain",
            "health",
            "invitations",
            "logging",
            "secrets",
            "text",
        ],
    ),
    (
        "relay",
        &[
            "config",
            "health",
            "identity",
            "invitations",
            "names",
            "secrets",
            "web",
            "webrtc",
            "websocket",
        ],
    ),
    (
        "commands",
        &[
            "config",
            "drain",
            "health",
            "identity",
            "invitations",
            "logging",
            "names",
            "relay",
            "secrets",
            "text",
            "web",
            "webrtc",
        ],
    ),
];

#[test]
fn no_module_of_the_relay_is_reached_but_through_a_listed_arrow() {
    walls::check("relay-node/src/", WALLS);
}

#[test]
fn no_two_modules_of_the_relay_know_each_other() {
    walls::check_one_way(WALLS);
}
