//! A registry that is restored goes on where it was, and only where there is none.

use protocol::codec;
use protocol::names::{NameAction, NameAnswer, NameQuestion};
use starling_relay_node::names::{
    Change, Check, Embedded, Holding, Registry, Settings, Space, Txn, TxnStore,
};

use crate::people::{Person, TODAY, holder};

async fn opened(folder: &std::path::Path) -> (Embedded, Registry) {
    let embedded = Embedded::open(folder).unwrap();
    let store = TxnStore::Embedded(embedded.clone());
    let registry = Registry::open(store, Settings::default(), [9; 32]).await;
    (embedded, registry.unwrap())
}

fn revision(answer: &NameAnswer) -> u64 {
    match answer {
        NameAnswer::Held(receipt) => receipt.revision,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_restored_says_the_same_and_what_is_given_later_counts_for_more_than_what_was_lost() {
    let (dir, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (embedded, registry) = opened(dir.path()).await;
    let (ada, bob, eve) = (Person::new(1), Person::new(2), Person::new(3));
    let name = ada.claim(&registry, "ada", TODAY).await;
    let slug = ada.claim_slug(&registry, 0, "flocks", TODAY).await;
    bob.claim(&registry, "bob", TODAY).await;
    bob.release(&registry, "bob", TODAY).await;
    let lock = registry
        .lock("leader", "me", std::time::Duration::from_hours(1))
        .await;
    assert!(lock.unwrap().is_some());
    let copied = embedded.copy().await.unwrap();
    // What comes after the copy is lost with the disk.
    let lost = eve.claim(&registry, "eve", TODAY).await;

    let store = Embedded::open(fresh.path()).unwrap();
    store.restore(copied.clone()).await.unwrap();
    assert_eq!(
        store.copy().await.unwrap().rows,
        copied.rows,
        "each row with its revisions"
    );
    let restored = Registry::open(TxnStore::Embedded(store), Settings::default(), [8; 32]).await;
    let restored = restored.unwrap();
    assert_eq!(restored.id(), registry.id());
    assert_eq!(restored.lookup("ada").await.unwrap(), name, "to the bit");
    assert_eq!(restored.lookup_slug("flocks").await.unwrap(), slug);
    assert_eq!(
        restored.holder("leader").await.unwrap(),
        None,
        "locks end with the run"
    );
    assert_eq!(restored.lookup("eve").await.unwrap(), NameAnswer::Free);
    // Its last owner is not kept out by its rest.
    let old = bob.request_for(None, "bob", NameAction::Claim, 1, 0);
    let old = restored.answer(&NameQuestion::Request(old), TODAY).await;
    assert!(matches!(old, NameAnswer::Outdated(_)), "{old:?}");
    let given = bob.claim(&restored, "eve", TODAY).await;
    assert!(
        revision(&given) > revision(&lost),
        "a peer that has seen the lost receipt believes the new one"
    );
}

#[tokio::test]
async fn nothing_is_restored_into_a_registry_that_has_names_or_a_key() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (embedded, registry) = opened(dir.path()).await;
    Person::new(1).claim(&registry, "ada", TODAY).await;
    let copied = embedded.copy().await.unwrap();
    let (there, theirs) = opened(other.path()).await;
    Person::new(1).claim(&theirs, "lovelace", TODAY).await;
    let before = there.copy().await.unwrap();
    there.restore(copied).await.unwrap_err();
    assert_eq!(there.copy().await.unwrap(), before, "nothing changed");
}

#[tokio::test]
async fn a_name_that_is_given_back_leaves_another_one_of_the_account_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (embedded, registry) = opened(folder.path()).await;
    let ada = Person::new(1);
    ada.claim(&registry, "ada", TODAY).await;
    // Two registries were made one, once: she has two names, and her row says the second.
    let names = registry.names(Space::Names, None, 9).await.unwrap();
    let (_, first, _) = names.into_iter().next().unwrap();
    let second = Holding {
        name: "blackbird".to_owned(),
        ..first
    };
    let put = |key: &[u8], value| Change::Put {
        key: key.to_vec(),
        value,
        lease: None,
    };
    let skeleton = starling_relay_node::names::skeleton("blackbird");
    let name_key = [b"n/", skeleton.as_bytes()].concat();
    let owner_key = [b"a/", ada.account.0.as_slice()].concat();
    let txn = Txn {
        checks: vec![Check::Absent(name_key.clone())],
        changes: vec![
            put(&name_key, codec::encode(&second)),
            put(&owner_key, name_key.clone()),
        ],
        otherwise: Vec::new(),
    };
    TxnStore::Embedded(embedded).txn(txn).await.unwrap();
    assert_eq!(ada.release(&registry, "ada", TODAY).await, NameAnswer::Free);
    let kept = registry.lookup("blackbird").await.unwrap();
    assert_eq!(holder(&registry, &kept), ada.account);
    let third = ada.claim(&registry, "wren", TODAY).await;
    let name = "blackbird".to_owned();
    assert_eq!(third, NameAnswer::HasOther { name }, "she has no third");
}
