"""Function words of English and Chinese: replacing them changes the grammar, not the topic, so
augmentation leaves them unchanged."""

STOP_WORDS = {
    "en": frozenset(
        """
    a an the this that these those
    i me my mine myself you your yours yourself yourselves he him his himself she her hers herself
    it its itself
    we us our ours ourselves they them their theirs themselves one
    who whom whose which what where when why how
    am is are was were be been being do does did doing done have has had having
    can could may might must shall should will would ought cannot
    and or but nor so yet if because although though while whereas unless until since as than
    whether
    of in on at by for with about against between into through during before after above below to
    from up down out
    off over under within without upon toward towards among across behind beside besides beyond per
    via
    not no never none neither either both all any each every few more most much many other another
    some such own same
    only just too very also even still again further then once here there now
    s t d ll m re ve o y ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan
    shouldn wasn weren
    won wouldn
    """.split()
    ),
    "zh": frozenset(
        """
    我 你 您 他 她 它 咱 我们 你们 他们 她们 它们 咱们 自己 大家 别人 人家 谁 本人
    这 那 这个 那个 这些 那些 这里 那里 这儿 那儿 这样 那样 这么 那么 这种 那种 这是 那是 这次 此 其
    其他 其它 另 另外
    哪 哪个 哪些 哪里 哪儿 什么 怎么 怎样 怎么样 如何 为什么 多少 几 几个 一个 一种 一些 有些 些 个
    每 每个 各 某 所有 任何
    的 地 得 了 着 过 们 之 所 者 吗 呢 吧 啊 呀 嘛 哦 啦 哇 么 的话 似的
    是 有 在 会 能 可 可以 可能 能够 应该 应当 必须 必要 要 算是 就是 也是 都是 还是 只是 还有 只有
    只能
    不 没 没有 无 未 别 非 勿 不是 不会 不能 不要 不用 不必 并不 从不 绝不 毫无 并非 不到 不太 不够
    很 太 更 最 挺 极 颇 非常 十分 比较 相当 特别 尤其 稍微 有点 有点儿 一点 一点儿 越 越来越 多么
    真 真的 实在 简直
    都 也 还 就 才 又 再 只 仅 却 便 并 已 已经 曾 曾经 正 正在 将 将要 刚 刚刚 总 总是 一直 常 常常
    经常 往往 仍 仍然 依然 终于
    居然 竟 竟然 其实 甚至 几乎 大概 也许 好像 似乎 到底 究竟 当然 果然 根本 一定 完全 全 全部
    和 与 及 以及 或 或者 而 而且 并且 但 但是 可是 不过 然而 虽然 尽管 因为 由于 所以 因此 如果
    要是 假如 只要 除非 无论 不管
    即使 哪怕 既 既然 不但 不仅 于是 然后 否则 以便 何况 宁可 总之 比如 例如 除了 除 连
    把 被 给 对 对于 关于 从 向 往 朝 到 由 于 以 为 为了 跟 同 比 按 按照 根据 用 让 使 叫 将 当
    随着 通过 经过 至 至于 自 等
    上 下 里 中 内 外 前 后 间 时 上面 下面 里面 外面 前面 后面 中间 旁边 之前 之后 之间 以前 以后
    以上 以下 以来 时候
    来 去 起来 出来 下来 下去 上来 上去 过来 过去 进来 进去 现在 目前 以外 一 一下 一样
    """.split()
    ),
}
