use std::net::{IpAddr, Ipv4Addr};

use engine::api::{Query, QueryResult, Timeline};
use engine::io::Config;
use protocol::KeyPair;

use super::Options;
use crate::network::AddressBook;
use crate::store::Store;

fn address(n: u8) -> Option<IpAddr> {
    Some(Ipv4Addr::new(203, 0, 113, n).into())
}

#[tokio::test]
async fn what_a_request_has_the_engine_and_the_store_do_is_paid_by_its_address() {
    let (book, _dials) = AddressBook::open(Vec::new());
    let config = Config::relay(KeyPair::from_seed(&[1; 32]));
    let options = Options {
        // Of what is debited almost nothing is paid meanwhile.
        percent_per_address: 1,
        ..Options::new(config, [7; 32], Store::in_memory().unwrap(), book)
    };
    let (driver, _thread) = super::start(options).unwrap();
    driver.ask(Query::Network).await.expect("the store is read");
    let page = async || {
        let query = Query::Timeline {
            timeline: Timeline::Public,
            after: None,
            limit: 10,
        };
        let page = driver.ask(query).await;
        assert!(matches!(page, Some(QueryResult::Page(_))), "{page:?}");
    };
    let payer = driver.payer(address(1));
    payer.pays_for(page()).await;
    page().await;
    let [engine, beside] = payer.times();
    assert!(beside > 0, "reading rows");
    assert_eq!(engine, 1 + beside, "the request, and the rows that came");
    assert_eq!(driver.payer(address(2)).times(), [0, 0]);
}
