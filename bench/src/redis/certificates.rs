//! A private authority and a server's certificate for localhost, made by openssl: what a house that trusts no public
//! authority has.

use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files in PEM.
#[derive(Clone)]
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in `folder/tls`.
    ///
    /// # Errors
    /// If openssl fails.
    pub fn make(folder: &Path) -> anyhow::Result<Certificates> {
        let folder = folder.join("tls");
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        std::fs::write(folder.join("server.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            .context("write ext")?;
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        let steps = [
            format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=a-private-authority"),
            format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile server.ext"
                .to_owned(),
        ];
        for step in steps {
            let output = Command::new("openssl").args(step.split(' ')).current_dir(&folder).output();
            let output = output.context("run openssl")?;
            ensure!(output.status.success(), "openssl {step}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let file = |name: &str| folder.join(name);
        Ok(Certificates { authority: file("ca.pem"), certificate: file("server.pem"), key: file("server.key") })
    }
}
