package proxy

import "testing"

func TestRetryBudget_SpendAndEarn(t *testing.T) {
	b := newRetryBudget()
	for i := range budgetTokens {
		if !b.spend() {
			t.Fatalf("retry %d is rejected", i)
		}
	}
	if b.spend() {
		t.Fatal("an exhausted budget allows a retry")
	}
	const requests = 11 // one more than 1/budgetEarned, for rounding
	for range requests {
		b.earn()
	}
	if !b.spend() || b.spend() {
		t.Errorf("%d requests earn other than one retry", requests)
	}
	for range 20 * budgetTokens {
		b.earn()
	}
	if b.tokens != budgetTokens {
		t.Errorf("%v tokens, want at most %d", b.tokens, budgetTokens)
	}
}

func TestJitter(t *testing.T) {
	for n := range maxRetries {
		for range 100 {
			if d := jitter(n); d < 0 || d >= baseDelay<<n {
				t.Fatalf("retry %d after %s, want less than %s", n, d, baseDelay<<n)
			}
		}
	}
}
