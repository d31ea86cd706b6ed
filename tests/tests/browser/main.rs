//! Whole-system scenarios in real headless Chromium.

mod harness;
mod journeys;
mod offline_shell;
mod pages;
mod people;
mod relay_process;
