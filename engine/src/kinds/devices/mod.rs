//! Devices: certificates begin feeds and revocations end them. The log applies both and stores revocations; here is
//! what is shown of them.

#[cfg(test)]
mod tests;

pub(crate) use protocol::kinds::{Certificate, Revocation};

use crate::kinds::{EntryInfo, EntryKind, IndexRow, Indexed, Indexing, Stateless, Viewer};
use crate::store::Table;

pub(crate) type State = Stateless;

impl EntryKind for Certificate {
    type State = State;
    const TABLES: &'static [Table] = &[];

    fn rows(&self, _: &EntryInfo<'_>, _: Viewer) -> Vec<IndexRow> {
        Vec::new()
    }

    fn apply(self, _: &mut State, indexing: &mut Indexing<'_>, entry: &EntryInfo<'_>) -> Indexed {
        indexing.ctx.changed.me |= indexing.viewer.is(&entry.account());
        Indexed::default()
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::certificates()
    }
}

impl EntryKind for Revocation {
    type State = State;
    const TABLES: &'static [Table] = &[];

    fn rows(&self, _: &EntryInfo<'_>, _: Viewer) -> Vec<IndexRow> {
        Vec::new()
    }

    fn apply(self, _: &mut State, _: &mut Indexing<'_>, _: &EntryInfo<'_>) -> Indexed {
        Indexed::default()
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::revocations()
    }
}
