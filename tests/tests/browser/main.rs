//! Whole-system scenarios in real headless Chromium.

mod harness;
mod offline_shell;
mod relay_process;
