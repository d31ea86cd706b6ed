//! Whole-system scenarios in real headless Chromium.

mod harness;
