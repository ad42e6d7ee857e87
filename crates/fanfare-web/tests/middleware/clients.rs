use actix_web::test::TestRequest;
use actix_web::web;
use fanfare_consumer::{TrustedProxies, client, peer};

#[test]
fn without_trusted_proxies_the_client_is_the_peer() {
    let request = TestRequest::get()
        .peer_addr("[::ffff:192.0.2.1]:7".parse().unwrap())
        .insert_header(("x-forwarded-for", "203.0.113.9"))
        .to_http_request();
    assert_eq!(client(&request), "192.0.2.1".parse().ok());
    assert_eq!(peer(&request), "192.0.2.1:7".parse().ok());
    assert_eq!(client(&TestRequest::get().to_http_request()), None);
}

#[test]
fn the_apps_trusted_proxies_name_the_client() {
    let proxies = TrustedProxies::new(["192.0.2.0/24"]).unwrap();
    let request = TestRequest::get()
        .app_data(web::Data::new(proxies))
        .peer_addr("192.0.2.1:7".parse().unwrap())
        .insert_header(("x-forwarded-for", "198.51.100.7, 203.0.113.9, 192.0.2.2"))
        .to_http_request();
    assert_eq!(client(&request), "203.0.113.9".parse().ok());
}
