//! Whole-system scenarios in real headless Chromium.

mod admin;
mod failover;
mod gossip_example;
mod harness;
mod hostile;
mod journeys;
mod killed;
mod lazy_pages;
mod mesh;
mod migration;
mod names;
mod offline_shell;
mod old_copy;
mod pages;
mod reactions;
mod relay_process;
mod slugs;
mod stored;
