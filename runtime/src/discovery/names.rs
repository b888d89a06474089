//! Names and what they resolve to, for a while.
//!
//! An answer is kept for its time to live, at most `POSITIVE_MAX`; that a name has no addresses is
//! kept for `NEGATIVE`. Whoever could reach none of the addresses may ask for a fresh answer, which
//! is fetched when the kept one is older than `FRESH_AFTER`. When no server answers, the last
//! addresses go on: stale ones are better than none, and whoever is reached there has to greet.
//! A name without addresses has none: it does not go on.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hyperscale_core::discovery::Candidate;

use super::target::Target;

/// The longest time for which an answer is kept.
const POSITIVE_MAX: Duration = Duration::from_secs(60);
/// How long a name is known to have no addresses.
const NEGATIVE: Duration = Duration::from_secs(30);
/// An answer younger than this is fresh enough for everybody.
const FRESH_AFTER: Duration = Duration::from_secs(1);
/// Names that are remembered; those that expire first go first.
const NAMES_MAX: usize = 1024;
/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Why a name has no addresses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// It does not exist, or has no addresses.
    #[error("{0} has no addresses")]
    None(Target),
    /// No server said anything about it.
    #[error("{target} does not resolve: {reason}")]
    Unknown {
        /// The name.
        target: Target,
        /// What went wrong.
        reason: String,
    },
}

#[derive(Clone, Debug)]
struct Known {
    /// Empty: there are none.
    candidates: Vec<Candidate>,
    at: Instant,
    until: Instant,
}

/// Resolves names; clones share what is known.
#[derive(Clone)]
pub struct Names {
    resolver: Result<Arc<TokioResolver>, String>,
    known: Arc<Mutex<BTreeMap<Target, Known>>>,
    times: Times,
}

/// How long what is kept; shorter in tests.
#[derive(Clone, Copy, Debug)]
struct Times {
    negative: Duration,
    fresh_after: Duration,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Names {
    /// The resolver of this process, configured as the system is.
    pub fn system() -> Self {
        static SYSTEM: OnceLock<Names> = OnceLock::new();
        let system = || match TokioResolver::builder_tokio() {
            Ok(builder) => Self::new(builder),
            Err(error) => Self::of(Err(format!("the system's resolver: {error}"))),
        };
        SYSTEM.get_or_init(system).clone()
    }

    /// A resolver that asks the server at this address over UDP.
    pub fn asking(server: SocketAddr) -> Self {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let provider = TokioRuntimeProvider::default();
        Self::new(TokioResolver::builder_with_config(config, provider))
    }

    fn new(mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>) -> Self {
        let options = builder.options_mut();
        // What is known is kept here, where a failed dial can ask anew.
        options.cache_size = 0;
        options.timeout = TIMEOUT;
        options.attempts = 1;
        Self::of(builder.build().map(Arc::new).map_err(|error| error.to_string()))
    }

    fn of(resolver: Result<Arc<TokioResolver>, String>) -> Self {
        let times = Times { negative: NEGATIVE, fresh_after: FRESH_AFTER };
        Self { resolver, known: Arc::default(), times }
    }

    /// What `target` resolves to. `fresh`: the addresses known before were of no use.
    ///
    /// # Errors
    /// When it has no addresses, or none are known and no server answers.
    pub async fn resolve(&self, target: &Target, fresh: bool) -> Result<Vec<Candidate>, NameError> {
        if let Target::Address(address) = target {
            return Ok(vec![Candidate { tier: 0, address: address.to_string() }]);
        }
        let now = Instant::now();
        let known = self.lock().get(target).cloned();
        let holds = |known: &&Known| {
            let is_negative = known.candidates.is_empty();
            let is_young = now.duration_since(known.at) < self.times.fresh_after;
            now < known.until && (!fresh || is_negative || is_young)
        };
        let candidates = match known.as_ref().filter(holds) {
            Some(known) => known.candidates.clone(),
            None => self.ask(target, now, known.map(|known| known.candidates)).await?,
        };
        if candidates.is_empty() { Err(NameError::None(target.clone())) } else { Ok(candidates) }
    }

    async fn ask(
        &self,
        target: &Target,
        now: Instant,
        stale: Option<Vec<Candidate>>,
    ) -> Result<Vec<Candidate>, NameError> {
        let (candidates, kept) = match self.look_up(target).await {
            Ok((candidates, ttl)) => (candidates, ttl.min(POSITIVE_MAX)),
            Err(error) if error.is_no_records_found() => (Vec::new(), self.times.negative),
            Err(error) => {
                let reason = error.to_string();
                tracing::debug!(%target, reason, "a name does not resolve");
                let stale = stale.filter(|stale| !stale.is_empty());
                return stale.ok_or(NameError::Unknown { target: target.clone(), reason });
            }
        };
        let mut known = self.lock();
        if known.len() >= NAMES_MAX && !known.contains_key(target) {
            let first = known.iter().min_by_key(|(_, known)| known.until);
            if let Some(target) = first.map(|(target, _)| target.clone()) {
                known.remove(&target);
            }
        }
        let entry = Known { candidates: candidates.clone(), at: now, until: now + kept };
        known.insert(target.clone(), entry);
        Ok(candidates)
    }

    async fn look_up(&self, target: &Target) -> Result<(Vec<Candidate>, Duration), NetError> {
        let resolver = self.resolver.as_ref().map_err(|error| NetError::from(error.clone()))?;
        match target {
            Target::Address(address) => {
                Ok((vec![Candidate { tier: 0, address: address.to_string() }], POSITIVE_MAX))
            }
            Target::Name { host, port } => {
                let (addresses, ttl) = addresses(resolver, host).await?;
                let of =
                    |ip| Candidate { tier: 0, address: SocketAddr::new(ip, *port).to_string() };
                Ok((addresses.into_iter().map(of).collect(), ttl))
            }
            Target::Service(service) => {
                let answer = resolver.lookup(service.as_str(), RecordType::SRV).await?;
                let mut ttl = answer.valid_until().saturating_duration_since(Instant::now());
                let mut candidates = Vec::new();
                for record in answer.answers() {
                    let RData::SRV(srv) = &record.data else { continue };
                    // A host that does not resolve today leaves the others of the service.
                    let host = srv.target.to_string();
                    let Ok((addresses, host_ttl)) = addresses(resolver, &host).await else {
                        continue;
                    };
                    ttl = ttl.min(host_ttl);
                    let of = |ip| Candidate {
                        tier: srv.priority,
                        address: SocketAddr::new(ip, srv.port).to_string(),
                    };
                    candidates.extend(addresses.into_iter().map(of));
                }
                Ok((candidates, ttl))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Target, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn addresses(
    resolver: &TokioResolver,
    host: &str,
) -> Result<(Vec<IpAddr>, Duration), NetError> {
    let answer = resolver.lookup_ip(host).await?;
    let ttl = answer.valid_until().saturating_duration_since(Instant::now());
    Ok((answer.iter().collect(), ttl))
}

#[cfg(test)]
mod tests;
