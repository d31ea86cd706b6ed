//! The database of the app, taken out of a browser and put into another one, as a copied profile or a machine that was
//! set back would have it. Both need a page of the app's origin on which the app does not run.

use anyhow::Result;
use serde_json::Value;
use starling_tests::{Page, Relay};

/// A page of the app's origin without the app.
const BESIDE: &str = "/icons/mark.svg";

const EXPORT: &str = "(async () => {
    const text = value => btoa([...new Uint8Array(value)].map(c => String.fromCharCode(c)).join(''));
    const asked = request => new Promise((done, failed) => {
        request.onsuccess = () => done(request.result);
        request.onerror = () => failed(request.error);
    });
    const database = await asked(indexedDB.open('starling'));
    const stores = {};
    for (const name of database.objectStoreNames) {
        const store = database.transaction(name).objectStore(name);
        const [keys, values] = await Promise.all([asked(store.getAllKeys()), asked(store.getAll())]);
        const rows = keys.map((key, at) =>
            [key, values[at] instanceof Uint8Array ? { bytes: text(values[at]) } : values[at]]);
        stores[name] = { keyPath: store.keyPath, autoIncrement: store.autoIncrement, rows };
    }
    const { version } = database;
    database.close();
    return { version, stores };
})()";

const IMPORT: &str = "(async ({ version, stores }) => {
    const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
    await new Promise((done, failed) => {
        const request = indexedDB.deleteDatabase('starling');
        request.onsuccess = done;
        request.onerror = () => failed(request.error);
    });
    const database = await new Promise((done, failed) => {
        const request = indexedDB.open('starling', version);
        request.onupgradeneeded = () => {
            for (const [name, { keyPath, autoIncrement }] of Object.entries(stores)) {
                request.result.createObjectStore(name, { keyPath, autoIncrement });
            }
        };
        request.onsuccess = () => done(request.result);
        request.onerror = () => failed(request.error);
    });
    for (const [name, { rows }] of Object.entries(stores)) {
        const transaction = database.transaction(name, 'readwrite');
        for (const [key, value] of rows) {
            transaction.objectStore(name).add(value?.bytes === undefined ? value : bytes(value.bytes), key);
        }
        await new Promise((done, failed) => {
            transaction.oncomplete = done;
            transaction.onabort = () => failed(transaction.error);
        });
    }
    database.close();
    return Object.values(stores).reduce((sum, { rows }) => sum + rows.length, 0);
})";

/// Everything in the app's database. The app is left for that.
pub(crate) async fn export(page: &Page, relay: &Relay) -> Result<Value> {
    page.goto(&relay.url(BESIDE)).await?;
    let database: Value = page.eval(EXPORT).await?;
    anyhow::ensure!(
        database["stores"]["log"]["rows"]
            .as_array()
            .is_some_and(|rows| !rows.is_empty())
    );
    Ok(database)
}

/// Puts a database in place of what is there. The app is left for that.
pub(crate) async fn import(page: &Page, relay: &Relay, database: &Value) -> Result<()> {
    page.goto(&relay.url(BESIDE)).await?;
    let rows: u32 = page.eval(&format!("{IMPORT}({database})")).await?;
    anyhow::ensure!(rows > 0, "there is something in it");
    Ok(())
}

/// Raises the version of the app's database, as a later version of the app would. The app is left for that.
pub(crate) async fn outdate(page: &Page, relay: &Relay) -> Result<()> {
    page.goto(&relay.url(BESIDE)).await?;
    let version: u32 = page
        .eval(
            "(async () => {
                const open = version => new Promise((done, failed) => {
                    const request = indexedDB.open('starling', version);
                    request.onsuccess = () => done(request.result);
                    request.onerror = () => failed(request.error);
                });
                const known = await open();
                known.close();
                const later = await open(known.version + 1);
                later.close();
                return later.version;
            })()",
        )
        .await?;
    anyhow::ensure!(version > 1);
    Ok(())
}
