package settle

import (
	"encoding/json"
	"math/big"
	"regexp"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/ingest"
)

// MaxRateAge is how many days a rate may be old on the day it is used for: banks set none at weekends and holidays.
const MaxRateAge = 7

// Rate is an exchange rate: one unit of From costs Value units of To on a day.
type Rate struct {
	Record   int64
	On       entity.Date
	From, To string
	Value    string // a plain decimal above zero
}

// plainDecimal bounds what is computed with; no rate needs more digits.
var plainDecimal = regexp.MustCompile(`^[0-9]{1,20}(\.[0-9]{1,20})?$`)

// Convert turns an amount into minor units of another currency at a rate of units of that currency for one of the
// amount's; inverse says that the rate is the other way round. It is exact up to the last step, which rounds half away
// from zero. false for a rate that is none, or a sum that is no number of minor units any more.
func Convert(amount entity.Money, currency, rate string, inverse bool) (int64, bool) {
	if !plainDecimal.MatchString(rate) {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(rate)
	if !ok || r.Sign() <= 0 {
		return 0, false
	}
	if inverse {
		r.Inv(r)
	}
	r.Mul(r, new(big.Rat).SetInt64(amount.Minor))
	r.Mul(r, new(big.Rat).SetFrac(power(entity.Digits(currency)), power(entity.Digits(amount.Currency))))
	negative := r.Sign() < 0
	num, den := new(big.Int).Abs(r.Num()), r.Denom()
	// floor(n/d + 1/2) of the magnitude
	num.Lsh(num, 1).Add(num, den)
	num.Quo(num, new(big.Int).Lsh(den, 1))
	if negative {
		num.Neg(num)
	}
	return num.Int64(), num.IsInt64()
}

func power(digits int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
}

// base returns an amount in the workspace's currency at the rate of a day: the last one on or before it, at most
// MaxRateAge days old. needsRate says that it depends on rates; without one the order or refund counts, its money does
// not. The rate is always that of the day, as its record says it now: which of the two came first makes no difference
// (R2), and tomorrow's rate changes nothing.
func (b *batch) base(m entity.Money, day entity.Date) (minor int64, converted, needsRate bool, err error) {
	if m.Currency == b.Workspace.Currency || m.Minor == 0 {
		return m.Minor, true, false, nil
	}
	value, inverse, found, err := b.Store.RateOn(b.ctx, b.tx, b.ws, m.Currency, b.Workspace.Currency, day, MaxRateAge)
	if err != nil || !found {
		return 0, false, true, err
	}
	minor, converted = Convert(m, b.Workspace.Currency, value, inverse)
	if !converted {
		minor = 0
	}
	return minor, converted, true, nil
}

// takeRate keeps a rate and has what depends on it converted anew.
func (b *batch) takeRate(d Dirty) error {
	before, had, err := b.Store.RateOf(b.ctx, b.tx, b.ws, d.Record)
	if err != nil {
		return err
	}
	now, keep, err := b.readRate(d)
	if err != nil {
		return err
	}
	if had && keep && before == now {
		return nil
	}
	if had {
		if err := b.Store.DropRate(b.ctx, b.tx, b.ws, d.Record); err != nil {
			return err
		}
		if err := b.markConversions(before); err != nil {
			return err
		}
	}
	if !keep {
		return nil
	}
	if err := b.Store.PutRate(b.ctx, b.tx, b.ws, now); err != nil {
		return err
	}
	return b.markConversions(now)
}

// readRate returns the rate a record gives; none when it is deleted, of a stream whose rates are not used, or refused.
func (b *batch) readRate(d Dirty) (Rate, bool, error) {
	if d.Deleted || (b.Rules.RateStream != nil && !b.Rules.RateStream(d.Stream.Connection, d.Stream.Name)) {
		return Rate{}, false, nil
	}
	var r entity.Rate
	if err := json.Unmarshal(d.Data, &r); err != nil {
		return Rate{}, false, err
	}
	if value, ok := new(big.Rat).SetString(r.Rate); !plainDecimal.MatchString(r.Rate) || !ok || value.Sign() <= 0 || r.From == r.To {
		return Rate{}, false, b.reject(d, &ingest.Fault{
			Rule: "rate_value", Message: "a rate is a plain decimal above zero, of at most 20 digits before and after the point, between two different currencies; correct it at the source",
		})
	}
	return Rate{Record: d.Record, On: r.On, From: r.From, To: r.To, Value: r.Rate}, true, nil
}

func (b *batch) markConversions(r Rate) error {
	n, err := b.Store.MarkConversions(b.ctx, b.tx, b.ws, []string{r.From, r.To}, r.On, r.On+MaxRateAge)
	b.marked += n
	return err
}
