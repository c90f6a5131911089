package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/playground"
)

// BenchmarkProcess builds the program as it is shipped and reports, for one
// start of it: connected-ms, from the start of the process until it is
// connected to Slack and ready; rss-MB, its resident memory when idle; and
// size-MB, of the binary.
func BenchmarkProcess(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "bot")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		b.Fatal(err)
	}
	var connected time.Duration
	var rss float64
	for b.Loop() {
		took, kb := startOnce(b, binary)
		connected += took
		rss += kb / 1024
	}
	b.ReportMetric(float64(connected.Milliseconds())/float64(b.N), "connected-ms")
	b.ReportMetric(rss/float64(b.N), "rss-MB")
	b.ReportMetric(float64(info.Size())/1e6, "size-MB")
	b.ReportMetric(0, "ns/op")
}

func startOnce(b *testing.B, binary string) (connected time.Duration, rssKB float64) {
	b.Helper()
	p, err := playground.New(playground.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	}()
	health := freeAddress(b)
	cmd := exec.CommandContext(b.Context(), binary, "serve")
	cmd.Env = append(p.Env(), "LISTEN_ADDR="+health)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	for get(b, health, "/readyz") != http.StatusOK {
		if time.Since(began) > 30*time.Second {
			b.Fatal("not ready after 30 s")
		}
		time.Sleep(time.Millisecond)
	}
	connected = time.Since(began)
	time.Sleep(3 * time.Second) // until it is idle
	return connected, residentKB(b, cmd.Process.Pid)
}

// residentKB is VmRSS of a process. Only Linux tells.
func residentKB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Skip("resident memory is read from /proc, which is not here")
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
