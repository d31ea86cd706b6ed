//! What must hold for the records a browser keeps its tables in, which a disk may damage. The fuzz target checks the
//! same.

use crate::segment::{SegmentReader, SegmentWriter};

/// A record of these bytes with a right checksum.
fn sealed(payload: &[u8], number: u32, ops: u32) -> Vec<u8> {
    let mut record = b"STSG\x01\0\0\0".to_vec();
    record.extend(number.to_le_bytes());
    record.extend(ops.to_le_bytes());
    record.extend((payload.len() as u32).to_le_bytes());
    let mut sum = blake3::Hasher::new();
    sum.update(&record).update(payload);
    record.extend(sum.finalize().as_bytes());
    record.extend(payload);
    record
}

/// Anything as a record, and as the operations of one: all of it is read or it is said to be broken, and what is read
/// is read the same when it is written again.
pub(crate) fn segment(bytes: &[u8], number: u32, ops: u32) {
    if let Ok(mut reader) = SegmentReader::open(bytes, number) {
        while let Ok(Some(_)) = reader.next() {}
    }
    let record = sealed(bytes, number, ops);
    assert!(SegmentReader::open(&record, number.wrapping_add(1)).is_err());
    let mut reader = SegmentReader::open(&record, number).unwrap();
    let mut writer = SegmentWriter::default();
    let (mut read, mut taken) = (Vec::new(), 0);
    let whole = loop {
        match reader.next() {
            Ok(Some(op)) => {
                taken += op.len as usize;
                let value = op.value.map(|(at, len)| &record[at as usize..][..len as usize]);
                writer.push_parts(op.table, op.key, value);
                read.push((op.table, op.key.to_vec(), value.map(<[u8]>::to_vec)));
            }
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert!(taken <= bytes.len() && read.len() <= ops as usize);
    assert!(!whole || taken == bytes.len(), "something is left over");
    assert_eq!(writer.ops() as usize, read.len());
    let again = writer.finish(number);
    let mut reader = SegmentReader::open(&again, number).unwrap();
    for (table, key, value) in read {
        let op = reader.next().unwrap().unwrap();
        let found = op
            .value
            .map(|(at, len)| again[at as usize..][..len as usize].to_vec());
        assert_eq!((op.table, op.key, found), (table, key.as_slice(), value));
    }
    assert_eq!(reader.next(), Ok(None));
}
