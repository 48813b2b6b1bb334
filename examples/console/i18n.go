package main

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/omnichat/shopifysync"
)

// languageCookie remembers the language that was chosen.
const languageCookie = "language"

// texts are all words of the pages in one language: every field is set in
// each, which a test checks. Names of fields are those that templates use.
type texts struct {
	Lang, Other, OtherName string // BCP 47; Other and its own name for the switch

	// Everywhere.
	Brand, Footer, SkipToContent, NavTools, NavStore                                            string
	NavShopify, NavOverview, NavSync, NavContacts, NavChat, NavHistory, NavPrivacy              string
	BackHome, Cancel, None, NotShown, Yes, No, Any, Add, Show, Reason, State, At, Colon, Parens string
	NotFoundTitle, NotFound                                                                     string
	Seconds, SecondsFine, Minutes, Hours                                                        string // formats
	Done                                                                                        map[string]string
	Problems                                                                                    map[string]problemText

	// The first page.
	HomeTitle, HomeLead, ConnectedStores, ConnectStore, ConnectThis, ConnectByHand, OpenStore string
	NoStores, DemoStores, DemoStoresLead, StateDisconnected                                   string
	Demos                                                                                     map[string]string

	// The connect form.
	ConnectTitle, ConnectLead, EditTitle, EditLead, Verifying                                      string
	StoreURL, StoreURLHint, APIKey, APIKeyHint, APISecret, APISecretHint                           string
	AccessToken, AccessTokenHint, NoToken, SecretSaved, SecretTyped, WhereToFind                   string
	WhereSteps                                                                                     []string
	WhatsAppLegend, WhatsAppTick, WhatsAppHint, WhatsAppAccount, Country, CountryHint, VersionHint string
	ConnectButton, SaveConnection                                                                  string
	WhatsAppWho                                                                                    string
	Policies                                                                                       map[shopifysync.WhatsAppPolicy]string
	Countries                                                                                      map[string]string

	// The overview.
	ReadyTitle, ReadyText, SyncNow, SyncLater, EditConnection, Disconnect, Reconnect              string
	ContactsCount, InStepAsOf, NeverSynced, OpenMarks, FailedRecords, LastSync, OpenSync          string
	ConnectionTitle, StoreName, Plan, TestStore, CurrencyZone, Scopes, PersonalData               string
	APIVersion, Asked, Served, SecretsTitle, SecretsKept, Off, CheckedAt, Warnings, Subscriptions string
	ByHand, ByHandText, CheckNow, CatchUpNow, Preview, DisconnectedSince, EraseBy                 string
	Health                                                                                        map[shopifysync.HealthState]string
	Data                                                                                          map[shopifysync.DataAccess]string
	Subscription                                                                                  map[shopifysync.SubscriptionState]string

	// Syncs.
	SyncRunning, Progress, DoneOf, Rate, Estimate, NotYetKnown, About, Between, PerSecond, MayClose string
	SeeContacts, CancelSync, PausedText, SyncResult, PreviewResult, PreviewText, Resumed            string
	New, Updated, Unchanged, RemovedCount, Skipped, Failed, Seen, ZeroNew, EmptyStore, SumLine      string
	MassRemovalLine, MassRemovalSure, MassRemovalButton, RetryFailed, SyncAgain, ResumeSync         string
	SyncDone, SyncFailed                                                                            string
	Runs, NoRuns, NoFailures, StartedAt, Duration, Attempts, NextTry                                string
	Phase                                                                                           map[shopifysync.Phase]string
	RunState                                                                                        map[shopifysync.RunState]string
	Skip                                                                                            map[string]string
	Removal                                                                                         map[shopifysync.RemovalReason]string
	Sources                                                                                         map[string]string

	WhatsAppContacts, WhatsAppUnusable, WhatsAppShared, WhatsAppSharedText string
	WhatsAppResults                                                        map[shopifysync.WhatsAppResult]string

	// Contacts.
	Found, Total, Search, SearchHint, SearchButton, Tag, MoreFilters, NotANumber, ClearFilters    string
	Name, FirstName, LastName, MemberNumber, Email, Phone, Tags, Note, OrdersShort, SpentShort    string
	Nameless, NothingFound, NoContacts, Pages, FirstPage, NextPage                                string
	OpenChat, Fields, FieldName, Value, Source, NameSource, PhoneOfCustomer, PhoneOfAddress       string
	WhatsAppSource, WhenTitle, ChangedAt, ReadAt, WhenText, AgentTags, AgentTagsText, NoAgentTags string
	AddAgentTag, RemoveTag, ContactGone, MergedInto, TombstoneText                                string
	ConsentLevel, ConsentAt, ConsentFor, ConsentFrom                                              string
	Levels                                                                                        map[shopifysync.ConsentLevel]string
	Origins                                                                                       map[string]string

	// The conversation.
	ChatLead, LoggedInAs, LoggedInHint, OpenConversation, Conversation, NoMessages, Agent, Member string
	Message, SayAsAgent, SayAsMember, MemberCard, ConversationStays, OpenContact                  string

	Marketing, MayMarket, MayNotMarket, OptOut, OptOutBack, OptOutText, OptedOut, OptedOutAt string

	// Disconnecting.
	DisconnectTitle, DisconnectLead, DisconnectWhat, DisconnectKeep, DisconnectKeepText     string
	DisconnectRemove, DisconnectRemoveText, DisconnectSure, DisconnectButton, Disconnecting string
	RemoveSure, EndingNow, SecretsGone                                                      string

	// Personal data.
	PrivacyLead, PersonBy, Person, Export, Erase, EraseSure, EraseNotSure, ExportResult, ExportText string
	DownloadJSON, NobodyFound, Receipt, Erased, ReceiptID, MemberNumbers, HostErased, ReceiptText   string
	Requests, NoRequests, RequestID, ReceivedAt, DueBy                                              string

	// The demonstration store's own page.
	ShopifyTitle, ShopifyLead, FakeSecrets, CustomersCount, StoreActions, Customers, NewCustomer       string
	ActFreeze, ActLock, ActOpen, ActExpire, ActRename, ActUninstall, ActReinstall, ActDrop, ActDeliver string
	ActUnsubscribe, ActReplayUninstall, ActReplayRedact, ActCreate, ActSave, ActTag, ActUntag          string
	ActOrder, OrderAmount, ActMerge, MergeInto, ActDelete, ActRedact, ActDataRequest, ActBreak         string
	NoChange, Deliveries, NoDeliveries, Lost, DroppingNow, SubscriptionsNow                            string
	ShopifyState                                                                                       map[string]string
}

// languages are those that the pages speak, the default one first.
var languages = []*texts{&traditionalChinese, &english}

// textsOf returns the texts of a language tag, or the default ones.
func textsOf(tag string) *texts {
	primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
	for _, t := range languages {
		if own, _, _ := strings.Cut(t.Lang, "-"); own == primary {
			return t
		}
	}
	return languages[0]
}

// language chooses the texts for a request: those that were chosen, else the
// browser's most preferred language that the pages speak.
func language(r *http.Request) *texts {
	if cookie, err := r.Cookie(languageCookie); err == nil {
		for _, t := range languages {
			if t.Lang == cookie.Value {
				return t
			}
		}
	}
	best, most := languages[0], 0.0
	for _, part := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, quality, given := strings.Cut(strings.TrimSpace(part), ";q=")
		q := 1.0
		if given {
			q, _ = strconv.ParseFloat(quality, 64)
		}
		if t := textsOf(tag); q > most && spoken(tag) {
			best, most = t, q
		}
	}
	return best
}

// spoken reports whether the pages speak the language of a tag.
func spoken(tag string) bool {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return primary == "zh" || primary == "en"
}

// labelOr returns the label of a key, or the key itself: Shopify may say what
// this console does not know.
func labelOr[K ~string](labels map[K]string, key K) string {
	if label, ok := labels[key]; ok {
		return label
	}
	return string(key)
}

func (t *texts) HealthLabel(s shopifysync.HealthState) string    { return labelOr(t.Health, s) }
func (t *texts) DataLabel(d shopifysync.DataAccess) string       { return labelOr(t.Data, d) }
func (t *texts) PhaseLabel(p shopifysync.Phase) string           { return labelOr(t.Phase, p) }
func (t *texts) RunLabel(s shopifysync.RunState) string          { return labelOr(t.RunState, s) }
func (t *texts) OriginLabel(from string) string                  { return labelOr(t.Origins, from) }
func (t *texts) RemovalLabel(r shopifysync.RemovalReason) string { return labelOr(t.Removal, r) }
func (t *texts) SourceLabel(s string) string                     { return labelOr(t.Sources, s) }
func (t *texts) LevelLabel(l shopifysync.ConsentLevel) string    { return labelOr(t.Levels, l) }
func (t *texts) CountryName(code string) string                  { return labelOr(t.Countries, code) }
func (t *texts) PolicyLabel(p shopifysync.WhatsAppPolicy) string { return labelOr(t.Policies, p) }
func (t *texts) WhatsAppLabel(r shopifysync.WhatsAppResult) string {
	return labelOr(t.WhatsAppResults, r)
}
func (t *texts) WhatsAppReason(reason string) string {
	return t.WhatsAppLabel(shopifysync.WhatsAppResult(reason))
}

// SkipLabel says why a customer was left out: a rule of this console's, or of
// the library's.
func (t *texts) SkipLabel(why string) reason {
	if label, ok := t.Skip[why]; ok {
		return reason{Text: label}
	}
	return t.ReasonLabel(why)
}

func (t *texts) DemoAbout(key string) string { return labelOr(t.Demos, key) }
