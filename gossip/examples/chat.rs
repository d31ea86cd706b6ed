//! `chat`: everybody in it hears what anybody says; nobody is in charge.
//!
//! ```text
//! cargo run -p gossip --features native --example chat -- --name Ada
//! cargo run -p gossip --features native --example chat -- --name Bob --join 127.0.0.1:PORT
//! ```

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use gossip::node::{Config, Node, Received, tcp};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Chats with everybody in a swarm. Lines go to all; /peers lists the neighbours, /quit leaves.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What the others see.
    #[arg(long, value_parser = name)]
    name: String,
    /// Where others reach this member; a port of 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Any one member to join through; without it this one waits to be found.
    #[arg(long)]
    join: Option<SocketAddr>,
}

const NAME_CHARS_MAX: usize = 40;

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > NAME_CHARS_MAX || text.contains(char::is_control) {
        return Err(format!("1 to {NAME_CHARS_MAX} characters on one line"));
    }
    Ok(text.to_owned())
}

/// Words, and who says them.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    name: String,
    text: String,
}

gossip::messages! {
    /// What members of the chat say.
    #[derive(Debug)]
    enum Chat {
        /// A member joined.
        1 => Came(String),
        /// A member says something.
        2 => Said(Said),
        /// A member leaves.
        3 => Gone(String),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { name, listen, join } = Arguments::parse();
    let mut node: Node<Chat, SocketAddr> = tcp::bind(listen, Config::default())
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    println!("* {name} is at {}", node.address());
    if let Some(member) = join {
        node.join(member).await?;
        println!("* joined");
        node.broadcast(&Chat::Came(name.clone())).await?;
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            heard = node.recv() => show(heard.context("the node ended")?),
            line = lines.next_line() => match line?.as_deref().map(str::trim) {
                Some("") => {}
                Some("/peers") => {
                    let peers: Vec<String> = node.neighbours().await.iter().map(ToString::to_string).collect();
                    println!("* {} neighbours: {}", peers.len(), peers.join(", "));
                }
                Some("/quit") | None => break,
                Some(text) => {
                    let said = Said { name: name.clone(), text: text.to_owned() };
                    if let Err(error) = node.broadcast(&Chat::Said(said)).await {
                        println!("* not sent: {error}");
                    }
                }
            },
        }
    }
    node.broadcast(&Chat::Gone(name)).await?;
    node.leave().await;
    Ok(())
}

fn show(heard: Received<Chat, SocketAddr>) {
    if heard.missed > 0 {
        println!("* {} messages were missed", heard.missed);
    }
    // What others say must not move the cursor or ring the bell.
    let plain = |text: &str| text.replace(char::is_control, " ");
    match heard.message {
        Chat::Came(name) => println!("* {} came", plain(&name)),
        Chat::Said(Said { name, text }) => println!("{}: {}", plain(&name), plain(&text)),
        Chat::Gone(name) => println!("* {} left", plain(&name)),
        Chat::Unknown { tag, .. } => {
            println!(
                "* {} says something of kind {tag}, for a newer version",
                heard.from
            );
        }
    }
}
