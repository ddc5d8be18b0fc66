//! The ports: the API's and, after it, one for each service.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use crate::stack::StartError;

/// Everything that listens, on 127.0.0.1.
pub(crate) struct Listeners {
    pub(crate) api: TcpListener,
    pub(crate) dynamodb: TcpListener,
    pub(crate) s3: TcpListener,
    pub(crate) sns: TcpListener,
    pub(crate) ses: TcpListener,
}

impl Listeners {
    /// Takes `port` and the four after it, or any five free ports for 0.
    pub(crate) async fn bind(port: u16) -> Result<Self, StartError> {
        Ok(Self {
            api: bind(port, 0).await?,
            dynamodb: bind(port, 1).await?,
            s3: bind(port, 2).await?,
            sns: bind(port, 3).await?,
            ses: bind(port, 4).await?,
        })
    }
}

async fn bind(first: u16, offset: u16) -> Result<TcpListener, StartError> {
    let port = match first {
        0 => 0,
        first => first.checked_add(offset).ok_or(StartError::NoPorts(first))?,
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse(port),
        _ => StartError::Listen { port, source },
    })
}

/// `http://127.0.0.1:PORT`.
pub(crate) fn url(listener: &TcpListener) -> Result<String, StartError> {
    let address = listener.local_addr();
    let address = address.map_err(|source| StartError::Listen { port: 0, source })?;
    Ok(format!("http://{address}"))
}

/// Lets the process open more files than the 256 or 1024 that a shell allows: a thousand callers at
/// once are two thousand sockets where they are in this process too. If it may not, it may not.
pub(crate) fn allow_many_sockets() {
    const WANTED: u64 = 10_240;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED, |most| most.min(WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}
