//! What happens between the plan and its units: others go on writing.

use super::*;

impl House {
    fn carry_out(&self, plan: &Plan) -> Report {
        let held = self.begin();
        let (report, is_whole) = sweep::run(plan, vec![self.hand(held.sweep)], |_| {});
        assert!(is_whole && report.skipped.is_empty(), "{report:?}");
        held.finish(&self.stores, plan, (&report, is_whole), NOW).unwrap();
        report
    }
}

#[test]
fn a_day_that_somebody_else_came_to_use_is_not_ended() {
    let shorter = |_: &House| Ask { installation_days: 90, ..Ask::default() };
    let chosen = |house: &House| Ask { project_id: Some(house.projects[0]), ..house.ask(7) };
    for ask in [&shorter as &dyn Fn(&House) -> Ask, &chosen] {
        let mut house = House::new(&["shop", "site"]);
        let (shop, site) = (house.projects[0], house.projects[1]);
        house.fill(shop, 20, 600);
        house.stores.db.write_blocking(|tx| projects::set_retention(tx, shop, Some(7))).unwrap();
        let ask = ask(&house);
        let plan = house.plan(&ask);
        assert!(matches!(plan.units[0].work, Work::EndDay { .. }), "{plan:?}");
        house.fill(site, 20, 5);
        house.carry_out(&plan);
        assert_eq!((house.listed(shop), house.listed(site)), (vec![], vec![(20, 5)]));
        house.assert_consistent();
        assert_eq!(house.plan(&ask).report().rows_total(), 0, "nothing is left");
    }
}
