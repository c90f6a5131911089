package audit_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"

	"github.com/qlik-chatops/bot/internal/audit"
)

var noon = time.Date(2030, 1, 2, 3, 4, 5, 678_999_999, time.UTC)

// odd are texts on which encoders of JSON disagree.
var odd = []string{
	"", "plain", "Zoë", "<b>&amp;</b>", `"quoted" \ back`, "tab\tnew\nline\r", "\x00\x01\x1f\x7f", "\u2028\u2029",
	"👩‍💻\U0010FFFF", "\uFFFD", "\uE000\uD7FF", "é", "e\u0301", "\u202eright to left", "null", "1e400", strings.Repeat("long ", 999),
}

func entryOf(rng *rand.Rand) audit.Entry {
	pick := func() string { return odd[rng.IntN(len(odd))] + odd[rng.IntN(len(odd))] }
	return audit.Entry{
		Request: pick(), Event: audit.Event(pick()), Actor: audit.Actor{Team: pick(), User: pick()}, Tenant: pick(),
		Command: pick(), Outcome: pick(), Detail: pick(), Policy: pick(), Plan: pick(),
	}
}

func chainOf(t testing.TB, entries ...audit.Entry) []audit.Record {
	t.Helper()
	var head audit.Head
	var chain []audit.Record
	for i, e := range entries {
		r, err := audit.Seal(head, e, noon.Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		chain, head = append(chain, r), r.Head()
	}
	return chain
}

// five is a chain of five records with nothing empty in it.
func five(t testing.TB) []audit.Record {
	var entries []audit.Entry
	for i := range 5 {
		entries = append(entries, audit.Entry{
			Request: fmt.Sprintf("R-%d", i), Event: audit.EventDecided, Actor: audit.Actor{Team: "T1", User: "U0BEN"},
			Tenant: "prod", Command: "add-admin", Outcome: "approve", Detail: "Zoë said yes", Policy: "p", Plan: "q",
		})
	}
	return chainOf(t, entries...)
}

func all(chain []audit.Record) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		for _, r := range chain {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// breaksAt is the record that Verify names, or 0 when the chain holds.
func breaksAt(t testing.TB, chain []audit.Record) int64 {
	t.Helper()
	_, err := audit.Verify(all(chain))
	if err == nil {
		return 0
	}
	var broken *audit.BreakError
	if !errors.As(err, &broken) {
		t.Fatalf("the error is %T: %v", err, err)
	}
	if broken.Why == "" || !strings.Contains(err.Error(), fmt.Sprintf("record %d", broken.Seq)) {
		t.Errorf("it says %q", err)
	}
	return broken.Seq
}

func TestAChainHoldsWhateverItsEntriesSay(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var entries []audit.Entry
		for range rng.IntN(20) {
			entries = append(entries, entryOf(rng))
		}
		chain := chainOf(t, entries...)
		head, err := audit.Verify(all(chain))
		if err != nil {
			t.Fatal(err)
		}
		if int(head.Seq) != len(chain) || len(chain) > 0 && head.Hash != chain[len(chain)-1].Hash {
			t.Errorf("the head is %+v after %d records", head, len(chain))
		}
	}
}

// TestTheHashIsWhatTheContractSays compares with a hash that another
// implementation made of the canonical form, written out by hand.
func TestTheHashIsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	r, err := audit.Seal(audit.Head{}, audit.Entry{
		Request: "R-1", Event: audit.EventDecided, Actor: audit.Actor{Team: "T1", User: "U0BEN"}, Tenant: "prod",
		Command: "add-admin", Outcome: "approve", Detail: "Zo\u00eb <b>\"\\\n\u2028\U0001F469\x7f\x01", Policy: "p", Plan: "q",
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	const want = "030e10c9fc750c7d3de073e5a22f690110c02f8cfe4283c9096f3f23f2f8bb2f"
	if r.Hash != want {
		t.Errorf("the hash is %s, want %s", r.Hash, want)
	}
	if r.Time != "2030-01-02T03:04:05.678Z" || r.Seq != 1 || r.Prev != "" {
		t.Errorf("sealed %+v", r)
	}
}

// TestWhoeverHasTheExportCanCheckIt reads the exported lines as a stranger
// would: with the contract and an RFC 8785 library.
func TestWhoeverHasTheExportCanCheckIt(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	var entries []audit.Entry
	for range 60 {
		entries = append(entries, entryOf(rng))
	}
	chain := chainOf(t, entries...)
	var out bytes.Buffer
	n, err := audit.Write(&out, all(chain))
	if err != nil || n != len(chain) {
		t.Fatalf("wrote %d records: %v", n, err)
	}
	prev := ""
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<20)
	var read []audit.Record
	for lines.Scan() {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		hash := line["hash"]
		delete(line, "hash")
		plain, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := jcs.Transform(plain)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(canonical)
		if hash != hex.EncodeToString(sum[:]) || line["prev"] != prev {
			t.Fatalf("the stranger cannot check %s", lines.Text())
		}
		prev = hash.(string)
		var r audit.Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		read = append(read, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(chain, read); diff != "" {
		t.Errorf("the export differs (-chain +export):\n%s", diff)
	}
	if at := breaksAt(t, read); at != 0 {
		t.Errorf("the export breaks at record %d", at)
	}
}

func TestAnExportedLineHasTheFieldsOfTheContractInItsOrder(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if _, err := audit.Write(&out, all(chainOf(t, audit.Entry{Event: audit.EventAsked, Detail: "<a&b>"}))); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	var keys []string
	for depth := 0; ; {
		token, err := dec.Token()
		if err != nil {
			break
		}
		switch token {
		case json.Delim('{'):
			depth++
		case json.Delim('}'):
			depth--
		default:
			keys = append(keys, fmt.Sprint(token))
			if keys[len(keys)-1] != "actor" {
				if _, err := dec.Token(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	want := []string{"seq", "time", "request", "event", "actor", "team", "user", "tenant", "command", "outcome", "detail", "policy", "plan", "prev", "hash"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("the fields differ:\n%s", diff)
	}
}

// texts are all fields of a record that hold text, by name.
func texts(r *audit.Record) map[string]*string {
	fields := map[string]*string{}
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name := prefix + v.Type().Field(i).Name
			switch f := v.Field(i); f.Kind() {
			case reflect.String:
				fields[name] = f.Addr().Interface().(*string)
			case reflect.Struct:
				walk(name+".", f)
			default: // numbers are not text
			}
		}
	}
	walk("", reflect.ValueOf(r).Elem())
	return fields
}

func TestAnyChangedByteOfAnyFieldNamesItsRecord(t *testing.T) {
	t.Parallel()
	original := five(t)
	if n := len(texts(&original[2])); n != 13 {
		t.Fatalf("%d fields hold text, want 13", n)
	}
	for name, field := range texts(&original[2]) {
		value := *field
		changes := []string{value + "x", value + "\x00", "x" + value, "", value[1:], value[:len(value)-1], strings.ToUpper(value) + " "}
		for i := range len(value) {
			for _, bit := range []byte{0x01, 0x20, 0x80} {
				b := []byte(value)
				b[i] ^= bit
				changes = append(changes, string(b))
			}
		}
		for _, change := range changes {
			chain := slices.Clone(original)
			*texts(&chain[2])[name] = change
			if at := breaksAt(t, chain); at != 3 {
				t.Errorf("%s changed from %q to %q: record %d is named, want 3", name, value, change, at)
			}
		}
	}
	for _, seq := range []int64{-3, 0, 1, 2, 4, 5, 6, 1 << 62} {
		chain := slices.Clone(original)
		chain[2].Seq = seq
		if at := breaksAt(t, chain); at != 3 {
			t.Errorf("number changed to %d: record %d is named, want 3", seq, at)
		}
	}
}

func TestTextThatIsNotUTF8CannotHideBehindItsReplacement(t *testing.T) {
	t.Parallel()
	chain := chainOf(t, audit.Entry{Detail: "a\xff\xfeb"}, audit.Entry{})
	if want := "a\uFFFDb"; chain[0].Detail != want {
		t.Errorf("the detail was sealed as %q, want %q", chain[0].Detail, want)
	}
	// JSON would write this just as it writes what was sealed.
	chain[0].Detail = "a\xffb"
	if at := breaksAt(t, chain); at != 1 {
		t.Errorf("record %d is named, want 1", at)
	}
}

func TestWhoeverSealsAForgedRecordBreaksTheNextOne(t *testing.T) {
	t.Parallel()
	chain := five(t)
	forged, err := audit.Seal(chain[1].Head(), audit.Entry{Detail: "forged"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	chain[2] = forged
	if at := breaksAt(t, chain); at != 4 {
		t.Errorf("record %d is named, want 4", at)
	}
}

func TestRecordsOutOfTheirPlaceAreNamed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		order []int // numbers of the records, from 1
		want  int64
	}{
		{"as they were written", []int{1, 2, 3, 4, 5}, 0},
		{"the first dropped", []int{2, 3, 4, 5}, 1},
		{"one in the middle dropped", []int{1, 2, 4, 5}, 3},
		{"two dropped", []int{1, 4, 5}, 2},
		{"two swapped", []int{1, 3, 2, 4, 5}, 2},
		{"turned round", []int{5, 4, 3, 2, 1}, 1},
		{"one twice", []int{1, 2, 2, 3, 4, 5}, 3},
		{"the last one twice", []int{1, 2, 3, 4, 5, 5}, 6},
		{"the first one again at the end", []int{1, 2, 3, 4, 5, 1}, 6},
		{"a cut tail cannot be seen in the chain itself", []int{1, 2, 3}, 0},
		{"nothing at all", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			original := five(t)
			var chain []audit.Record
			for _, n := range test.order {
				chain = append(chain, original[n-1])
			}
			if at := breaksAt(t, chain); at != test.want {
				t.Errorf("record %d is named, want %d", at, test.want)
			}
		})
	}
}

func TestRenumberingAfterADropIsNamedAtTheGap(t *testing.T) {
	t.Parallel()
	original := five(t)
	chain := append(slices.Clone(original[:2]), original[3:]...)
	for i := range chain {
		chain[i].Seq = int64(i + 1)
	}
	if at := breaksAt(t, chain); at != 3 {
		t.Errorf("record %d is named, want 3", at)
	}
}

func TestAReadingErrorIsNoBreak(t *testing.T) {
	t.Parallel()
	wrong := errors.New("made up")
	chain := five(t)
	failing := func(yield func(audit.Record, error) bool) {
		if yield(chain[0], nil) {
			yield(audit.Record{}, wrong)
		}
	}
	head, err := audit.Verify(failing)
	var broken *audit.BreakError
	if !errors.Is(err, wrong) || errors.As(err, &broken) || head != chain[0].Head() {
		t.Errorf("head %+v, error %v", head, err)
	}
	if n, err := audit.Write(&bytes.Buffer{}, failing); n != 1 || !errors.Is(err, wrong) {
		t.Errorf("wrote %d, error %v", n, err)
	}
}

type fullDisk struct{ left int }

var errFull = errors.New("full")

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAWriterThatFailsIsTold(t *testing.T) {
	t.Parallel()
	n, err := audit.Write(&fullDisk{left: 2}, all(five(t)))
	if n != 2 || !errors.Is(err, errFull) || !strings.Contains(err.Error(), "record 3") {
		t.Errorf("wrote %d, error %v", n, err)
	}
}

func TestTimesOfRecordsSortAsTextAndAreUTC(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600))
	if got, want := audit.FormatTime(at), "2029-12-31T23:30:00.000Z"; got != want {
		t.Errorf("the time is %s, want %s", got, want)
	}
	last := ""
	for i := range 3000 {
		s := audit.FormatTime(at.Add(time.Duration(i*i) * time.Millisecond))
		if s < last {
			t.Fatalf("%s sorts before %s", s, last)
		}
		last = s
	}
}

func FuzzAnEntryIsSealedOnceAndForAll(f *testing.F) {
	for _, s := range odd {
		f.Add(s, s, int64(0))
	}
	f.Add("\xff\xfe", "a\xc3", int64(1893456000000))
	f.Fuzz(func(t *testing.T, detail, user string, ms int64) {
		e := audit.Entry{Request: user, Event: audit.EventStep, Actor: audit.Actor{User: user}, Detail: detail}
		r, err := audit.Seal(audit.Head{}, e, time.UnixMilli(ms))
		if err != nil {
			t.Fatal(err)
		}
		if at := breaksAt(t, []audit.Record{r}); at != 0 {
			t.Fatal("a record that was just sealed does not hold")
		}
		var out bytes.Buffer
		if _, err := audit.Write(&out, all([]audit.Record{r})); err != nil {
			t.Fatal(err)
		}
		var read audit.Record
		if err := json.Unmarshal(out.Bytes(), &read); err != nil || read != r {
			t.Fatalf("%v: read %+v, want %+v", err, read, r)
		}
		if detail != "" {
			r.Detail = ""
			if at := breaksAt(t, []audit.Record{r}); at != 1 {
				t.Fatal("a changed record holds")
			}
		}
	})
}
