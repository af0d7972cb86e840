package entity

//go:generate go run ./internal/schemagen

// Kinds lists the entities of v1 in their order of introduction.
func Kinds() []Kind {
	return []Kind{
		KindContact, KindCompany, KindDeal, KindOrder, KindRefund, KindActivity, KindConsent, KindSurveyAnswer,
		KindLoyalty, KindOwner, KindOwnershipChange, KindRate, KindMember,
	}
}

// New returns a pointer to an empty entity of the kind, for decoding into; nil for a kind that does not exist.
func (k Kind) New() any {
	switch k {
	case KindContact:
		return &Contact{}
	case KindCompany:
		return &Company{}
	case KindDeal:
		return &Deal{}
	case KindOrder:
		return &Order{}
	case KindRefund:
		return &Refund{}
	case KindActivity:
		return &Activity{}
	case KindConsent:
		return &Consent{}
	case KindSurveyAnswer:
		return &SurveyAnswer{}
	case KindLoyalty:
		return &Loyalty{}
	case KindOwner:
		return &Owner{}
	case KindOwnershipChange:
		return &OwnershipChange{}
	case KindRate:
		return &Rate{}
	case KindMember:
		return &Member{}
	default:
		return nil
	}
}
