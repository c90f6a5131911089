package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// buildVersion is set by the linker for releases: -X main.buildVersion=v1.2.3.
var buildVersion string

// version prints which version this is.
func version(_ context.Context, c call) error {
	if err := c.parse(c.flags("version", "Prints the version and the commit it was built from.")); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, "bot "+versionText())
	return err
}

// versionText is the version, or where it is not a release the commit.
func versionText() string {
	v := buildVersion
	if v == "" {
		v = "devel"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return v + " " + s.Value
		}
	}
	return v
}
