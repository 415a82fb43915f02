package main

import (
	"strings"
	"testing"
)

func TestDoctorTellsACopyOfAnotherDevice(t *testing.T) {
	data := t.TempDir()
	if got := checkIdentity(data, "/"); got != nil {
		t.Errorf("without an identity: %+v", got)
	}
	e, _ := enrolmentOf(t, data, pi("10000000a1b2c3d4", "c1"))
	if _, err := e.enrol(enrolOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := checkIdentity(data, e.root); len(got) != 1 || got[0].State != fine || got[0].Text != "10000000a1b2c3d4 (id: serial), enrolled on 2026-03-01" {
		t.Errorf("where it was enrolled: %+v", got)
	}
	got := checkIdentity(data, pi("10000000ffffffff", "c1").root(t))
	if len(got) != 1 || got[0].State != failing || !strings.Contains(got[0].Text, "skerry enroll --keep") {
		t.Errorf("on another board: %+v", got)
	}
}
