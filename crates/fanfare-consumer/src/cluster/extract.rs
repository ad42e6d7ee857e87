//! The cluster as an extractor of actix-web handlers.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest, web};
use fanfare_web::{Code, Host, Refusal};

use super::Cluster;

/// The cluster of the server behind a request, plain or a handshake; none under a listener that is
/// not Fanfare's.
pub fn cluster_of(request: &HttpRequest) -> Option<Cluster> {
    Host::of(request)?.handle().cloned()
}

/// What a listener serves when it is given a cluster.
impl From<Cluster> for Host {
    fn from(cluster: Cluster) -> Self {
        let draining = Arc::clone(&cluster.shared.draining);
        Self::with_handle(cluster.node().clone(), cluster, draining)
    }
}

impl From<&Cluster> for Host {
    fn from(cluster: &Cluster) -> Self {
        cluster.clone().into()
    }
}

/// The cluster that the App has as `app_data`, bare or as [`web::Data`], or else that of the
/// server. With neither the request is answered 500.
impl FromRequest for Cluster {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let data = request.app_data::<web::Data<Self>>();
        let found = data.map(|data| Self::clone(data));
        let found = found.or_else(|| request.app_data::<Self>().cloned());
        let found = found.or_else(|| cluster_of(request));
        ready(found.ok_or_else(|| {
            let message = "no cluster here: serve the App with fanfare::Server, or give it one \
                           with App::app_data(cluster)";
            Refusal::new(Code::Internal, message).into()
        }))
    }
}
