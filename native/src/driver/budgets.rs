//! How much of a processor each address may use. The time that the frames of its links take in the engine is measured
//! and debited; a link whose address is in debt is not read until time has paid the debt, so that its peer is slowed down
//! by the transport's own flow control and nobody else is. What its links and requests cost the other threads, that of the
//! store among them, is debited to a second account. An address waits while it owes to either.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time that an address that used none may use at once.
const BURST: Duration = Duration::from_millis(250);
/// Addresses in the table. Policy when full: those beyond share one budget.
const ADDRESSES_MAX: usize = 65_536;

/// Addresses in the table at least before it is swept for the next time.
const SWEEP_AT_LEAST: usize = 1_024;
/// Minimum interval between two times: a full table costs a millisecond.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The budgets of all addresses. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    /// Percent of the time that one address may use; 0: as much as there is.
    percent: u32,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    accounts: HashMap<Option<IpAddr>, Account>,
    /// At this number those are forgotten that owe nothing, but not before this time.
    sweep_at: usize,
    next_sweep: Instant,
}

impl Table {
    /// Makes room, and gives the memory of many addresses back.
    fn sweep(&mut self, now: Instant, percent: u32) {
        if self.accounts.len() < self.sweep_at || now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_INTERVAL;
        self.accounts.retain(|_, account| {
            account.pay(now, percent);
            account.used > Duration::ZERO
        });
        self.accounts.shrink_to(SWEEP_AT_LEAST);
        self.sweep_at = (2 * self.accounts.len()).clamp(SWEEP_AT_LEAST, ADDRESSES_MAX);
    }
}

/// Time used and not paid for yet. It is forgotten when there is none.
#[derive(Clone, Copy, Debug)]
struct Account {
    used: Duration,
    at: Instant,
    #[cfg(test)]
    times: u32,
}

impl Account {
    fn pay(&mut self, now: Instant, percent: u32) {
        let paid = now.saturating_duration_since(self.at) * percent / 100;
        self.used = self.used.saturating_sub(paid);
        self.at = now;
    }
}

impl Budgets {
    /// Nobody has used anything. `percent`: of the time, what one address may use; 0: as much as there is.
    pub(crate) fn new(percent: u32) -> Self {
        Self {
            percent: percent.min(100),
            table: Arc::new(Mutex::new(Table {
                accounts: HashMap::new(),
                sweep_at: SWEEP_AT_LEAST,
                next_sweep: Instant::now(),
            })),
        }
    }

    /// Who pays for what comes from this address (of IPv6: any of its /64). `None`: this machine, or this side dialled:
    /// nobody.
    pub(crate) fn payer(&self, address: Option<IpAddr>) -> Payer {
        Payer {
            budgets: self.clone(),
            beside: None,
            address,
            exempt: Arc::new(AtomicBool::new(address.is_none() || self.percent == 0)),
        }
    }

    /// The same for a link or a request, which also cost time of other threads: that is debited to an account of `beside`.
    pub(crate) fn payer_of_both(&self, beside: &Self, address: Option<IpAddr>) -> Payer {
        Payer {
            beside: Some(beside.clone()),
            ..self.payer(address)
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spend(&self, address: Option<IpAddr>, time: Duration, now: Instant) {
        let mut table = self.lock();
        if !table.accounts.contains_key(&address) {
            table.sweep(now, self.percent);
        }
        let table = &mut table.accounts;
        let address = address.filter(|_| table.len() < ADDRESSES_MAX || table.contains_key(&address));
        let fresh = Account {
            used: Duration::ZERO,
            at: now,
            #[cfg(test)]
            times: 0,
        };
        let account = table.entry(address).or_insert(fresh);
        account.pay(now, self.percent);
        account.used += time;
        #[cfg(test)]
        {
            account.times += 1;
        }
    }

    /// When the address may go on.
    fn wait(&self, address: Option<IpAddr>, now: Instant) -> Duration {
        let table = &mut self.lock().accounts;
        let address = match table.contains_key(&address) {
            true => address,
            false if table.len() < ADDRESSES_MAX => return Duration::ZERO,
            false => None,
        };
        let Some(account) = table.get_mut(&address) else {
            return Duration::ZERO;
        };
        account.pay(now, self.percent);
        let debt = account.used.saturating_sub(BURST);
        if account.used.is_zero() {
            table.remove(&address);
        }
        debt * 100 / self.percent.max(1)
    }
}

/// Who pays for what a link or a request costs.
#[derive(Clone, Debug)]
pub struct Payer {
    budgets: Budgets,
    /// Has the account for time of other threads.
    beside: Option<Budgets>,
    address: Option<IpAddr>,
    exempt: Arc<AtomicBool>,
}

tokio::task_local! {
    /// Pays for what the task asks of the engine.
    static OF_TASK: Payer;
}

impl Payer {
    /// The engine says whether the link's peer is a member of this network.
    pub(crate) fn set_member(&self, member: bool) {
        let exempt = member || self.address.is_none() || self.budgets.percent == 0;
        self.exempt.store(exempt, Ordering::Relaxed);
    }

    /// This time was used.
    pub fn spend(&self, time: Duration) {
        if !self.exempt.load(Ordering::Relaxed) {
            self.budgets.spend(self.address, time, Instant::now());
        }
    }

    /// This time of another thread was used.
    pub fn spend_beside(&self, time: Duration) {
        if let Some(beside) = &self.beside
            && !self.exempt.load(Ordering::Relaxed)
        {
            beside.spend(self.address, time, Instant::now());
        }
    }

    /// Resolves once the address is not in debt.
    pub async fn ready(&self) {
        while !self.exempt.load(Ordering::Relaxed) {
            let now = Instant::now();
            let accounts = [Some(&self.budgets), self.beside.as_ref()].into_iter().flatten();
            let wait = accounts.map(|budgets| budgets.wait(self.address, now)).max();
            match wait {
                Some(wait) if !wait.is_zero() => tokio::time::sleep(wait).await,
                _ => return,
            }
        }
    }

    /// How often its accounts were debited: the engine's, and that of other threads.
    #[cfg(test)]
    pub(crate) fn times(&self) -> [u32; 2] {
        let beside = self.beside.as_ref().expect("both accounts");
        [&self.budgets, beside].map(|of| of.lock().accounts.get(&self.address).map_or(0, |of| of.times))
    }

    /// What this task asks of the engine is debited to this payer.
    pub async fn pays_for<T>(&self, task: impl Future<Output = T>) -> T {
        OF_TASK.scope(self.clone(), task).await
    }

    /// Who pays for what the current task asks of the engine.
    pub(crate) fn of_task() -> Option<Self> {
        OF_TASK.try_with(Self::clone).ok()
    }

    /// Runs a task of a transport, and debits what it costs.
    pub(crate) async fn metered<T>(&self, task: impl Future<Output = T>) -> T {
        let mut task = pin!(task);
        poll_fn(|context| {
            let began = std::time::Instant::now();
            let polled = task.as_mut().poll(context);
            self.spend_beside(began.elapsed());
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(n: u8) -> Option<IpAddr> {
        Some(Ipv4Addr::new(203, 0, 113, n).into())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_beyond_the_burst_is_waited_for_at_the_rate_of_the_share() {
        let budgets = Budgets::new(25);
        let payer = budgets.payer(address(1));
        let began = Instant::now();
        payer.spend(BURST);
        payer.ready().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        payer.spend(Duration::from_millis(100));
        payer.ready().await;
        let waited = began.elapsed();
        let due = Duration::from_millis(400);
        assert!(
            (due..due + Duration::from_millis(5)).contains(&waited),
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn links_of_one_address_pay_together_and_a_new_one_inherits_the_debt() {
        let budgets = Budgets::new(25);
        budgets.payer(address(1)).spend(BURST * 2);
        let began = Instant::now();
        budgets.payer(address(2)).ready().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "another address");
        budgets.payer(address(1)).ready().await;
        assert!(began.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_transport_computes_for_a_link_is_paid_from_an_account_beside_the_engines() {
        let (budgets, beside) = (Budgets::new(25), Budgets::new(25));
        let payer = budgets.payer_of_both(&beside, address(1));
        let compute = async {
            for _ in 0..6 {
                // The test's clock stands still; the meter's does not.
                std::thread::sleep(BURST / 4);
                tokio::task::yield_now().await;
            }
        };
        payer.metered(compute).await;
        let began = Instant::now();
        budgets.payer(address(1)).ready().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "the engine's account");
        payer.ready().await;
        let waited = began.elapsed();
        assert!(
            waited >= BURST * 2,
            "half a burst more than allowed, at a quarter: {waited:?}"
        );
        payer.spend_beside(BURST * 8);
        payer.set_member(true);
        let began = Instant::now();
        payer.ready().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn this_machine_and_members_pay_nothing() {
        let budgets = Budgets::new(25);
        let began = Instant::now();
        let member = budgets.payer(address(1));
        member.spend(BURST * 8);
        member.set_member(true);
        for payer in [member.clone(), budgets.payer(None)] {
            payer.spend(Duration::from_secs(60));
            payer.ready().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        member.set_member(false);
        member.ready().await;
        assert!(
            began.elapsed() >= Duration::from_secs(7),
            "what it used before is due"
        );
        let unlimited = Budgets::new(0).payer(address(1));
        unlimited.spend(Duration::from_secs(60));
        let began = Instant::now();
        unlimited.ready().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_beyond_the_bound_share_a_budget_and_paid_ones_make_room() {
        let budgets = Budgets::new(50);
        let of = |n: usize| Some(IpAddr::from(Ipv4Addr::from(n as u32)));
        for n in 0..=ADDRESSES_MAX {
            budgets.spend(of(n), BURST * 2, Instant::now());
        }
        assert_eq!(budgets.lock().accounts.len(), ADDRESSES_MAX + 1);
        assert!(budgets.wait(of(ADDRESSES_MAX), Instant::now()) > Duration::ZERO);
        tokio::time::advance(Duration::from_secs(60)).await;
        budgets.spend(of(0), BURST, Instant::now());
        budgets.spend(of(ADDRESSES_MAX + 7), BURST * 2, Instant::now());
        let table = budgets.lock();
        assert_eq!(table.accounts.len(), 2);
        assert!(
            table.accounts.capacity() < 4 * SWEEP_AT_LEAST,
            "the memory is given back"
        );
    }
}
