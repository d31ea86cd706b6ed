//! A segment: the packed operations of one or several whole batches, written and checked as one record.
//!
//! ```text
//! offset  bytes  field
//!      0      4  magic "STSG"
//!      4      1  version, 1
//!      5      3  zero
//!      8      4  number of the segment, little endian
//!     12      4  operations, little endian
//!     16      4  length of the payload, little endian
//!     20     32  BLAKE3 of bytes 0..20 and the payload
//!     52      …  payload: operations, one after the other
//!
//! operation   table (one byte; 0x80 added: delete) · key length (LEB128) · key · [value length (LEB128) · value]
//! ```
//!
//! Magic, version, number and checksum keep their places in all versions, so that damage can be distinguished from a
//! later version.
//!
//! Invariant: [`SegmentReader::open`] accepts only what [`SegmentWriter::finish`] made, so that nothing behind it
//! meets half a record. Positions are counted from the start of the record.

use std::rc::Rc;

use engine::store::{Op, Table};

/// The first bytes of every segment.
const MAGIC: [u8; 4] = *b"STSG";
/// The layout above.
const VERSION: u8 = 1;
/// Bytes before the payload.
pub const HEADER_LEN: usize = 52;
/// Bytes before the checksum.
const CHECKED_LEN: usize = 20;
/// Set in the table's byte of a delete.
const DELETE: u8 = 0x80;

/// Names a segment; also its place in the order of replay.
pub type SegmentNumber = u32;

/// A whole record, shared by all that read it.
pub type SegmentBytes = Rc<Vec<u8>>;

/// Why a record is no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Too short, another magic or length.
    Shape,
    /// Whole, but of a later version of the layout.
    Version,
    /// It says it has another number than the key it was found under.
    Number,
    /// The bytes changed since they were written.
    Checksum,
    /// The checksum holds but an operation does not decode: a bug of the writer.
    Operation,
    /// The checksum holds but an operation is about an unknown table: a later version of the app wrote it.
    Table,
}

impl Broken {
    /// Whether a later version of the app wrote the segment. It must not be skipped like a damaged one: without what
    /// is in it this device would sign other entries with the same numbers.
    pub fn is_of_later_version(self) -> bool {
        matches!(self, Self::Version | Self::Table)
    }
}

/// One decoded operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub table: Table,
    pub key: &'a [u8],
    /// Position and length of the value in the record; `None` deletes.
    pub value: Option<(u32, u32)>,
    /// Bytes this operation takes.
    pub len: u32,
}

/// Builds a segment in its final form, so that values can be read while it is still growing.
#[derive(Debug)]
pub struct SegmentWriter {
    bytes: Vec<u8>,
    ops: u32,
}

impl Default for SegmentWriter {
    fn default() -> Self {
        Self {
            bytes: vec![0; HEADER_LEN],
            ops: 0,
        }
    }
}

impl SegmentWriter {
    /// Appends an operation; what [`SegmentReader`] will make of it.
    pub fn push<'a>(&mut self, op: &'a Op) -> Record<'a> {
        match op {
            Op::Put { table, key, value } => self.push_parts(*table, key, Some(value)),
            Op::Delete { table, key } => self.push_parts(*table, key, None),
        }
    }

    /// Appends an operation from its parts; no value deletes.
    pub fn push_parts<'a>(&mut self, table: Table, key: &'a [u8], value: Option<&[u8]>) -> Record<'a> {
        let start = self.bytes.len();
        self.bytes
            .push(table as u8 | if value.is_none() { DELETE } else { 0 });
        push_length(&mut self.bytes, key.len());
        self.bytes.extend_from_slice(key);
        let value = value.map(|value| {
            push_length(&mut self.bytes, value.len());
            let offset = self.bytes.len();
            self.bytes.extend_from_slice(value);
            (narrow(offset), narrow(value.len()))
        });
        self.ops += 1;
        Record {
            table,
            key,
            value,
            len: narrow(self.bytes.len() - start),
        }
    }

    /// Operations so far.
    pub fn ops(&self) -> u32 {
        self.ops
    }

    /// The record so far; its header is not filled in yet.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn finish(mut self, number: SegmentNumber) -> Vec<u8> {
        let payload_len = narrow(self.bytes.len() - HEADER_LEN);
        self.bytes[..4].copy_from_slice(&MAGIC);
        self.bytes[4] = VERSION;
        self.bytes[8..12].copy_from_slice(&number.to_le_bytes());
        self.bytes[12..16].copy_from_slice(&self.ops.to_le_bytes());
        self.bytes[16..20].copy_from_slice(&payload_len.to_le_bytes());
        let checksum = checksum(&self.bytes);
        self.bytes[CHECKED_LEN..HEADER_LEN].copy_from_slice(&checksum);
        self.bytes
    }
}

/// Reads the operations of a checked segment.
#[derive(Debug)]
pub struct SegmentReader<'a> {
    bytes: &'a [u8],
    position: usize,
    left: u32,
}

impl<'a> SegmentReader<'a> {
    /// Checks a record found under `number`.
    pub fn open(bytes: &'a [u8], number: SegmentNumber) -> Result<Self, Broken> {
        if bytes.len() < HEADER_LEN || bytes[..4] != MAGIC || bytes[5..8] != [0; 3] {
            return Err(Broken::Shape);
        }
        if read_u32(bytes, 16) as usize != bytes.len() - HEADER_LEN {
            return Err(Broken::Shape);
        }
        if read_u32(bytes, 8) != number {
            return Err(Broken::Number);
        }
        if bytes[CHECKED_LEN..HEADER_LEN] != checksum(bytes) {
            return Err(Broken::Checksum);
        }
        if bytes[4] != VERSION {
            return Err(Broken::Version);
        }
        Ok(Self {
            bytes,
            position: HEADER_LEN,
            left: read_u32(bytes, 12),
        })
    }

    /// The next operation, or `None` after the last.
    pub fn next(&mut self) -> Result<Option<Record<'a>>, Broken> {
        if self.left == 0 {
            return if self.position == self.bytes.len() {
                Ok(None)
            } else {
                Err(Broken::Operation)
            };
        }
        self.left -= 1;
        let start = self.position;
        let tag = *self.take(1)?.first().ok_or(Broken::Operation)?;
        let table = Table::from_number(tag & !DELETE).ok_or(Broken::Table)?;
        let key_len = self.length()?;
        let key = self.take(key_len)?;
        let value = if tag & DELETE == 0 {
            let len = self.length()?;
            let offset = self.position;
            self.take(len)?;
            Some((narrow(offset), narrow(len)))
        } else {
            None
        };
        Ok(Some(Record {
            table,
            key,
            value,
            len: narrow(self.position - start),
        }))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let end = self.position.checked_add(len).ok_or(Broken::Operation)?;
        let taken = self.bytes.get(self.position..end).ok_or(Broken::Operation)?;
        self.position = end;
        Ok(taken)
    }

    fn length(&mut self) -> Result<usize, Broken> {
        let mut length = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.take(1)?.first().ok_or(Broken::Operation)?;
            length |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(length as usize);
            }
        }
        Err(Broken::Operation)
    }
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    let mut rest = narrow(length);
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn checksum(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..CHECKED_LEN]);
    hasher.update(&bytes[HEADER_LEN..]);
    *hasher.finalize().as_bytes()
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

/// A segment is cut long before four gigabytes, so its positions fit.
fn narrow(length: usize) -> u32 {
    debug_assert!(
        u32::try_from(length).is_ok(),
        "a segment has less than four gigabytes"
    );
    length as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut writer = SegmentWriter::default();
        writer.push_parts(Table::Feeds, b"one", Some(b"first value"));
        writer.push_parts(Table::Ids, &[7; 300], Some(&[]));
        writer.push_parts(Table::Feeds, b"gone", None);
        writer.finish(9)
    }

    #[test]
    fn a_segment_reads_back_as_written() {
        let bytes = sample();
        let mut reader = SegmentReader::open(&bytes, 9).expect("it is whole");
        let first = reader.next().expect("decodes").expect("there");
        let (offset, len) = first.value.expect("a put");
        assert_eq!((first.table, first.key), (Table::Feeds, b"one".as_slice()));
        assert_eq!(&bytes[offset as usize..(offset + len) as usize], b"first value");
        let second = reader.next().expect("decodes").expect("there");
        assert_eq!(
            (second.key.len(), second.value.map(|(_, len)| len)),
            (300, Some(0))
        );
        let third = reader.next().expect("decodes").expect("there");
        assert_eq!((third.key, third.value), (b"gone".as_slice(), None));
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = sample();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(SegmentReader::open(&changed, 9).is_err(), "byte {at}, bit {bit}");
            }
            assert!(SegmentReader::open(&bytes[..at], 9).is_err(), "cut at {at}");
        }
        assert_eq!(SegmentReader::open(&bytes, 8).err(), Some(Broken::Number));
    }

    /// A whole segment with these bytes in place of those of [`sample`].
    fn changed(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = sample();
        change(&mut bytes);
        let checksum = checksum(&bytes);
        bytes[CHECKED_LEN..HEADER_LEN].copy_from_slice(&checksum);
        bytes
    }

    #[test]
    fn a_segment_of_a_later_version_is_told_from_a_damaged_one() {
        let later = changed(|bytes| bytes[4] = VERSION + 1);
        let error = SegmentReader::open(&later, 9).unwrap_err();
        assert!(error.is_of_later_version(), "{error:?}");

        let unknown_table = changed(|bytes| bytes[HEADER_LEN] = 0x7f);
        let mut reader = SegmentReader::open(&unknown_table, 9).expect("it is whole");
        let error = reader.next().unwrap_err();
        assert!(error.is_of_later_version(), "{error:?}");

        let mut damaged = sample();
        damaged[4] = VERSION + 1;
        let error = SegmentReader::open(&damaged, 9).unwrap_err();
        assert!(!error.is_of_later_version(), "{error:?}");
    }
}
