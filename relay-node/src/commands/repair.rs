//! `relay-node repair`: saves what is whole in a damaged store.
//!
//! ```text
//! posts ─► (renamed) posts.damaged ─► rows that are whole ─► entries that verify ─► the engine ─► posts, new
//! ```
//!
//! The damaged folder stays beside the new one. Entries go through the engine like those of a neighbour, so every signature
//! is verified again and every index is rebuilt; what is missing is fetched from other relays when the relay runs.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use engine::io::Config;
use engine::store::Table;
use protocol::{Entry, codec};

use super::print;
use crate::config::Settings;
use crate::identity;
use crate::secrets::random;
use crate::text::counted;
use native::data_dir::DataDir;
use native::driver;
use native::network::AddressBook;
use native::store::{Changes, Disk as _, DiskError, FjallDisk, Store, salvage, store_folder};

/// Entries given to the engine at once.
const PART: usize = 512;
/// Where members and the network's registry are remembered in the table `meta`.
const KEPT_OF_META: [&[u8]; 3] = [b"member:", b"registry", b"vouch:"];

/// Whether a row is kept as it is: what a relay knows of its network. All others follow from entries.
fn is_kept(key: &[u8]) -> bool {
    match key.split_first() {
        Some((table, key)) if *table == Table::Meta as u8 => {
            KEPT_OF_META.iter().any(|prefix| key.starts_with(prefix))
        }
        Some((table, _)) => *table == Table::Relays as u8,
        None => false,
    }
}

/// Saves what is whole in the store of these settings' data folder, if it is damaged.
///
/// # Errors
/// If a relay uses the folder, or the disk fails.
pub fn repair(settings: &Settings) -> Result<()> {
    let folder = store_folder(&settings.data_dir)?;
    ensure!(
        folder.is_dir(),
        "there is no store in the data folder {}; name the relay's folder with --data-dir",
        settings.data_dir.display()
    );
    let data_dir = DataDir::take(&settings.data_dir)?;
    let folder = store_folder(data_dir.path())?;
    match FjallDisk::open(&folder, settings.cache_mib << 20) {
        Ok(_) => return print("the store can be opened; nothing was changed\n"),
        Err(DiskError::Damaged(why)) => {
            print(&format!("the store {} is damaged: {why}\n", folder.display()))?;
        }
        Err(error) => {
            return Err(error)
                .context("the store cannot be opened, and that is no damage; nothing was changed");
        }
    }
    let key = identity::load_or_create(data_dir.path())?;
    let damaged = unused_name(&folder)?;
    fs::rename(&folder, &damaged)?;
    let saved = save(settings, data_dir.path(), &damaged, key);
    if saved.is_err() {
        // As it was: the next try begins with the same.
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&damaged, &folder)?;
    }
    let (entries, refused) = saved?;
    let entries = counted(entries, "entry was", "entries were");
    let refused = match refused {
        0 => String::new(),
        n => format!("; {} not verify", counted(n, "entry does", "entries do")),
    };
    print(&format!(
        "{entries} saved{refused}. What is missing comes from other relays when this one runs. The damaged store is in {}; remove \
         it once all is well\n",
        damaged.display()
    ))
}

/// A name beside a folder that nothing has.
fn unused_name(folder: &Path) -> Result<std::path::PathBuf> {
    for n in 1..100 {
        let name = folder.with_extension(format!("damaged-{n}"));
        if !name.try_exists()? {
            return Ok(name);
        }
    }
    bail!(
        "remove the stores that earlier repairs left beside {}",
        folder.display()
    )
}

/// Fills a new store with what is whole in a damaged one: how many entries it holds, and how many do not verify.
fn save(settings: &Settings, data_dir: &Path, damaged: &Path, key: protocol::KeyPair) -> Result<(u64, u64)> {
    let cache_bytes = settings.cache_mib << 20;
    let scratch = damaged.with_extension("reading");
    let mut kept = Changes::new();
    let damage = salvage(damaged, &scratch, &mut |key, value| {
        if is_kept(&key) {
            kept.insert(key, Some(value));
        }
        Ok(())
    })?;
    for found in damage.found {
        print(&format!("{found}\n"))?;
    }
    let disk = FjallDisk::open(&store_folder(data_dir)?, cache_bytes)?;
    disk.commit(&kept)?;
    drop(disk);

    let store = Store::open(data_dir, cache_bytes)?;
    let (book, _dials) = AddressBook::open(Vec::new());
    let seed = random().context("the system gives no randomness")?;
    let (handle, thread) = driver::start(driver::Options::new(Config::relay(key), seed, store, book))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut refused = 0;
    let mut part = Vec::with_capacity(PART);
    salvage(damaged, &scratch, &mut |key, value| {
        if key.first() != Some(&(Table::Entries as u8)) {
            return Ok(());
        }
        match codec::decode::<Entry>(&value)
            .ok()
            .filter(|entry| entry.clone().verify().is_ok())
        {
            Some(entry) => part.push(entry),
            None => refused += 1,
        }
        if part.len() >= PART {
            runtime.block_on(handle.restore(std::mem::take(&mut part)));
        }
        Ok(())
    })?;
    let _ = writeln!(io::stderr(), "writing");
    runtime.block_on(async {
        handle.restore(part).await;
        let held = super::backup::held(&handle).await?.entries;
        ensure!(
            thread.stop("repaired").await,
            "the disk did not take everything; try again when it does"
        );
        Ok((held, refused))
    })
}

#[cfg(test)]
mod tests {
    use super::is_kept;

    #[test]
    fn what_a_relay_knows_of_its_network_is_kept_and_what_follows_from_entries_is_not() {
        assert!(is_kept(b"\x00member:abc") && is_kept(b"\x00registry") && is_kept(b"\x0eabc"));
        assert!(!is_kept(b"\x00reindex") && !is_kept(b"\x02abc") && !is_kept(b"\x01abc") && !is_kept(b""));
    }
}
