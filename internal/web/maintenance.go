package web

import (
	"fmt"
	"time"
)

// A maintenanceBanner says that a system, or some of its probes, are in maintenance.
type maintenanceBanner struct {
	What, Why string
	Until     time.Time
	Names     []string // of the probes, if it is not the whole system
	More      int
}

// maintenanceBanners collects the open windows. Equal windows of one system become one banner.
func maintenanceBanners(rows []*ProbeStatus, most int) []maintenanceBanner {
	type place struct {
		system string
		Maintenance
	}
	var order []place
	names, all := map[place][]string{}, map[string]int{}
	for _, row := range rows {
		all[row.System]++
		if row.Maintenance.Until.IsZero() {
			continue
		}
		p := place{row.System, row.Maintenance}
		if names[p] == nil {
			order = append(order, p)
		}
		names[p] = append(names[p], row.Name)
	}
	var banners []maintenanceBanner
	for _, p := range order {
		b := maintenanceBanner{What: p.system + " is", Why: p.Why, Until: p.Until}
		if n := names[p]; len(n) < all[p.system] {
			b.What = fmt.Sprintf("%d of %d probes of %s are", len(n), all[p.system], p.system)
			b.Names, b.More = n[:min(len(n), most)], max(0, len(n)-most)
		}
		banners = append(banners, b)
	}
	return banners
}
