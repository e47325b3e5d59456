"""English function words, which augmentation leaves alone: replacing them changes the grammar, not the topic."""

STOP_WORDS = frozenset(
    """
    a an the this that these those
    i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself
    we us our ours ourselves they them their theirs themselves one
    who whom whose which what where when why how
    am is are was were be been being do does did doing done have has had having
    can could may might must shall should will would ought cannot
    and or but nor so yet if because although though while whereas unless until since as than whether
    of in on at by for with about against between into through during before after above below to from up down out
    off over under within without upon toward towards among across behind beside besides beyond per via
    not no never none neither either both all any each every few more most much many other another some such own same
    only just too very also even still again further then once here there now
    s t d ll m re ve o y ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan shouldn wasn weren
    won wouldn
    """.split()
)
