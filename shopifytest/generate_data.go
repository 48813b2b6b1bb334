package shopifytest

import (
	"fmt"
	"strings"
)

// place is where a generated customer lives. In patterns # is a digit.
type place struct {
	locale, country, province          string
	first, last                        []string
	mobile, national, landline, spaced string
	zip                                string
	cities, streets                    []string
}

var placeWeights = []int{40, 20, 12, 8, 5, 5, 10}

var homes = []place{
	{
		locale: "zh-TW", country: "TW", province: "",
		first:  []string{"小明", "美玲", "志豪", "淑芬", "家豪", "怡君", "冠宇", "雅婷", "俊傑", "詩涵", "子", "宥廷"},
		last:   []string{"王", "陳", "林", "黃", "張", "李", "吳", "劉", "蔡", "楊", "歐陽", "司馬"},
		mobile: "+8869########", national: "09########", landline: "02-2###-####", spaced: "0912 ### ###", zip: "###",
		cities:  []string{"台北市", "新北市", "台中市", "高雄市", "臺南市"},
		streets: []string{"忠孝東路四段100號", "中正路12巷3弄5號", "民生東路三段131號", "復興北路99號"},
	},
	{
		locale: "zh-HK", country: "HK", province: "Kowloon",
		first:  []string{"嘉欣", "志明", "Ka Yan", "Chi Ming", "詠琪", "Wing Kei", "子軒", "Tsz Hin"},
		last:   []string{"陳", "李", "Chan", "Lee", "Wong", "黃", "何", "Cheung"},
		mobile: "+8529#######", national: "9### ####", landline: "2### ####", spaced: "+852 6### ####", zip: "",
		cities:  []string{"旺角", "Mong Kok", "Central", "沙田", "Tsuen Wan"},
		streets: []string{"彌敦道688號", "Flat 12B, 20/F, Wah Shun Building", "Queen's Road Central 99", "德輔道中 10號"},
	},
	{
		locale: "en", country: "SG", province: "",
		first:  []string{"James", "Mary-Ann", "O'Neil", "Wei Jie", "Hui Min", "Priya", "Zoë", "José", "Anne \"Annie\"", "Muhammad"},
		last:   []string{"Smith", "Tan", "Lim", "D'Souza", "van der Berg", "Ng", "Müller", "bin Abdullah", "Kumar"},
		mobile: "+659#######", national: "8### ####", landline: "6### ####", spaced: "+65 9### ####", zip: "######",
		cities:  []string{"Singapore"},
		streets: []string{"Blk 123 Ang Mo Kio Ave 6 #05-12", "10 Anson Road", "1/2 Orchard Rd"},
	},
	{
		locale: "th", country: "TH", province: "Bangkok",
		first:  []string{"สมชาย", "กัญญา", "ณัฐพล", "พิมพ์ชนก", "อรทัย"},
		last:   []string{"ใจดี", "ศรีสุข", "วงศ์สวัสดิ์", "ทองดี"},
		mobile: "+668########", national: "08########", landline: "02 ### ####", spaced: "089-###-####", zip: "10###",
		cities:  []string{"กรุงเทพมหานคร", "เชียงใหม่", "Phuket"},
		streets: []string{"123/45 ถนนสุขุมวิท", "99 หมู่ 4 ถนนพหลโยธิน"},
	},
	{
		locale: "ja", country: "JP", province: "JP-13",
		first:  []string{"太郎", "花子", "さくら", "ケンジ", "美咲", "大翔"},
		last:   []string{"佐藤", "鈴木", "高橋", "田中", "渡辺"},
		mobile: "+8190########", national: "090-####-####", landline: "03-####-####", spaced: "080 #### ####", zip: "1##-####",
		cities:  []string{"渋谷区", "新宿区", "大阪市"},
		streets: []string{"神南1丁目19-11", "西新宿2-8-1"},
	},
	{
		locale: "ko", country: "KR", province: "Seoul",
		first:  []string{"민준", "서연", "지훈", "하은"},
		last:   []string{"김", "이", "박", "최"},
		mobile: "+8210########", national: "010-####-####", landline: "02-###-####", spaced: "010 #### ####", zip: "0####",
		cities:  []string{"서울", "부산"},
		streets: []string{"강남대로 123", "세종대로 110"},
	},
	{
		locale: "en", country: "MY", province: "Kuala Lumpur",
		first:  []string{"Siti", "Ahmad", "Mei Ling", "Raj", "Nurul"},
		last:   []string{"Abdullah", "Lim", "Ismail", "Subramaniam", "Wong"},
		mobile: "+6012#######", national: "012-### ####", landline: "03-#### ####", spaced: "+60 12 ### ####", zip: "5####",
		cities:  []string{"Kuala Lumpur", "Petaling Jaya", "George Town"},
		streets: []string{"12, Jalan Sultan Ismail", "Lot 3, Jln 14/22"},
	},
}

var (
	emojiNames = []string{"🐱", "小花🌸", "Ami💕", "👨‍👩‍👧", "★VIP★"}
	emailNames = []string{"ming.wang", "Mei.Ling", "chan", "JSmith", "taro_sato", "somchai", "user", "vip-", "a", "O'neil", "kim+shop"}
	emailHosts = []string{"@example.com", "@example.org", "@Example.com", "@mail.example.net", "@shop.example.com"}
	oddPhones  = []string{"n/a", "call me", "12345", "０９１２３４５６７８", "02-2345-6789 ext. 12"}
	floors     = []string{"5樓", "Unit 3", "2F-1", "Apt \\4"}

	customerStates       = []string{"DISABLED", "ENABLED", "INVITED", "DECLINED"}
	customerStateWeights = []int{55, 40, 4, 1}
	emailStates          = []string{"SUBSCRIBED", "NOT_SUBSCRIBED", "UNSUBSCRIBED", "PENDING", "INVALID", "REDACTED"}
	emailStateWeights    = []int{450, 400, 100, 35, 14, 1}
	smsStates            = []string{"NOT_SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED", "PENDING", "REDACTED"}
	smsStateWeights      = []int{600, 300, 70, 29, 1}
	whatsAppStates       = []string{"NEVER_SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED", "PENDING", "REDACTED"}
	whatsAppStateWeights = []int{700, 220, 50, 29, 1}
	optInLevels          = []string{"SINGLE_OPT_IN", "CONFIRMED_OPT_IN", "UNKNOWN", ""}
	collectedFrom        = []string{"SHOPIFY", "OTHER", ""}
)

// allTags has no tag twice, and more than a customer can have (250).
var allTags = makeTags()

func makeTags() []string {
	stems := []string{"VIP", "會員", "newsletter", "生日禮", "限定", "wholesale", "回購", "ญาติ", "Line好友", "imported/2024", "門市", "コラボ"}
	tags := make([]string, 0, 600)
	for i := range 600 {
		if i < len(stems) {
			tags = append(tags, stems[i])
			continue
		}
		tags = append(tags, fmt.Sprintf("%s-%d", stems[i%len(stems)], i/len(stems)))
	}
	tags[300] = strings.Repeat("長", 255) // the longest that Shopify allows
	return tags
}

// noteText is what notes are cut from, and noteRunes where its characters
// start.
var noteText, noteRunes = makeNotes()

func makeNotes() (string, []int) {
	sentences := []string{
		"客人喜歡收到簡訊通知，請勿在晚上十點後致電。\n",
		"Prefers delivery after 6 pm; ring the bell \"twice\".\r\n",
		"曾退換貨一次，原因：尺寸不合。👍\n",
		"電話でのご連絡は平日のみお願いします。\t",
		"C:\\orders\\2024 / ref <b>#1001</b> & co.\n",
		"ลูกค้าประจำ ชอบสีฟ้า ",
		"Allergic to nuts — no samples.  ",
		"下次來店請提醒集點卡換禮物，已累積八點。",
	}
	var b strings.Builder
	for i := 0; b.Len() < 40_000; i++ {
		b.WriteString(sentences[(i*5+i/8)%len(sentences)])
	}
	text := b.String()
	starts := make([]int, 0, len(text)/2)
	for i := range text {
		starts = append(starts, i)
	}
	return text, starts
}
