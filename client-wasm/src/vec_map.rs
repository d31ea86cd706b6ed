//! A map of a few entries: a vector, searched from the front. Code in the app is download, and this is even less than
//! `ordered::Map`; for some dozens of links the search is no slower.

/// Entries in the order they came.
#[derive(Debug)]
pub struct VecMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for VecMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq + Copy, V> VecMap<K, V> {
    fn position(&self, key: K) -> Option<usize> {
        self.0.iter().position(|(found, _)| *found == key)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is an entry.
    pub fn contains(&self, key: K) -> bool {
        self.position(key).is_some()
    }

    /// An entry.
    pub fn get(&self, key: K) -> Option<&V> {
        self.position(key).map(|at| &self.0[at].1)
    }

    /// An entry, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.position(key).map(|at| &mut self.0[at].1)
    }

    /// Sets an entry; the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(key) {
            return Some(std::mem::replace(old, value));
        }
        self.0.push((key, value));
        None
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        self.position(key).map(|at| self.0.remove(at).1)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// All values, leaving nothing.
    pub fn take_values(&mut self) -> impl Iterator<Item = V> + use<K, V> {
        std::mem::take(&mut self.0).into_iter().map(|(_, value)| value)
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(*key, value));
    }
}
