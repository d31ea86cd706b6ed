//! Certificates for a test, of an authority that exists for it alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// PEM files of one machine, for either side of a connection.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The machine's own.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// Makes an authority and a certificate of it for this machine, in `folder`.
    ///
    /// # Errors
    /// If they cannot be made or written.
    pub fn make(folder: &Path) -> Result<Self> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = "an authority for one test";
        authority.distinguished_name.push(DnType::CommonName, name);
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let authority = Issuer::new(authority, authority_key);
        let key = KeyPair::generate()?;
        let mut machine = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        // etcd asks itself as a client.
        machine.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = machine.signed_by(&key, &authority)?.pem();
        let file = |name: &str, pem: &str| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, pem)?;
            Ok(path)
        };
        Ok(Self {
            authority: file("authority.pem", &authority_pem)?,
            certificate: file("certificate.pem", &certificate)?,
            key: file("key.pem", &key.serialize_pem())?,
        })
    }
}
