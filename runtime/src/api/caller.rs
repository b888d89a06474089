//! Who asks: the tenant that the request names, else the address it came from. Nobody checks the
//! name: it shares rates and turns out among clients of good will.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use hyperscale_core::api::Tenant;

use super::Api;

/// The header that names the tenant.
pub const TENANT: &str = "x-hyperscale-tenant";

/// The API as one client sees it.
impl FromRequestParts<Api> for Api {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        Ok(Self { client: tenant(parts), ..api.clone() })
    }
}

fn tenant(parts: &Parts) -> Tenant {
    let named = parts.headers.get(TENANT).and_then(|value| value.to_str().ok());
    if let Some(name) = named.map(str::trim).filter(|name| !name.is_empty()) {
        return Tenant::truncated(name);
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string());
    Tenant::truncated(&peer)
}
