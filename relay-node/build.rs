//! Makes what the program embeds, so that it compiles before the app was ever built: a folder without an app.
//!
//! Whether the app has changed is none of its concern: if it ran again, the library would be compiled again.

use std::path::Path;
use std::{fs, io};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    if let Err(error) = complete(&folder) {
        println!("cargo::warning=cannot make {}: {error}", folder.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}

fn complete(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let build = folder.join("build.json");
    if !build.exists() {
        fs::write(build, "{}\n")?;
    }
    Ok(())
}
