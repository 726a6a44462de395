"""Chinese: each message of the report by its English."""

CHINESE: dict[str, str] = {
    # The page
    "Evaluation of {version}": "{version} 的评估",
    "{rows} rows of split {split}, dataset": "{split} 划分的 {rows} 行，数据集",
    "{low} to {high} with 95 % confidence": "95% 置信区间 {low} 至 {high}",
    "rows that are answered wrong": "回答错误的行",
    "What to do next": "下一步做什么",
    "Figures": "指标",
    "Confusions": "混淆",
    "Labels": "标签",
    "Scores": "得分",
    "Kinds of rows": "各类数据",
    "Abstention": "弃答",
    "Errors": "错误",
    "Facts": "事实",
    "Nothing stands out by more than chance.": "没有超出偶然的问题。",
    (
        "{metric} of the model, with its 95 % interval, beside what it has to beat: majority "
        "answers the commonest label, mean the mean; tfidf is a linear model of the same training "
        "rows; untrained is the base model before training, on validation rows."
    ): (
        "模型的 {metric} 及其 95% 置信区间，与它必须超过的基线对比：majority 总是回答最常见的标签，"
        "mean 总是回答均值；tfidf 是用同样训练数据得到的线性模型；untrained 是训练前的基础模型，"
        "在验证数据上测得。"
    ),
    "More figures": "更多指标",
    "metric": "指标",
    "value": "值",
    "95 % interval": "95% 置信区间",
    "what it says": "含义",
    "Rows that it has learned, and others": "学过的数据与其他数据",
    "verdict": "结论",
    "good": "良好",
    "over-fit": "过拟合",
    "under-fit": "欠拟合",
    "unclear": "不明确",
    "{metric} on training rows": "训练数据上的 {metric}",
    "on validation rows": "验证数据上",
    "on these rows": "本次数据上",
    "gap": "差距",
    "true label": "真实标签",
    "answer": "回答",
    "rows": "行数",
    "of the label's rows": "占该标签的比例",
    "{pairs} more pairs are rarer.": "另有 {pairs} 对更少见。",
    (
        "The labels that are confused most; a line is a true label, a column an answer. Blue is "
        "right, orange wrong; the stronger, the larger the share of the label's rows."
    ): (
        "混淆最多的标签；行是真实标签，列是回答。蓝色为正确，橙色为错误；颜色越浓，"
        "占该标签数据的比例越大。"
    ),
    (
        "A line is a true label, a column an answer. Blue is right, orange wrong; the stronger, "
        "the larger the share of the label's rows."
    ): ("行是真实标签，列是回答。蓝色为正确，橙色为错误；颜色越浓，占该标签数据的比例越大。"),
    "All {labels} labels": "全部 {labels} 个标签",
    (
        "The weakest first. Precision: how many of a label's answers are right; recall: how many "
        "of its rows are found."
    ): "最弱的在前。精确率：回答为该标签的行中有多少正确；召回率：该标签的行有多少被找出。",
    "label": "标签",
    "precision": "精确率",
    "recall": "召回率",
    (
        "What is had of a model that answers only where its score is high enough; the points are "
        "least scores."
    ): "模型只在得分足够高时才回答会怎样；圆点为最低得分。",
    (
        "Whether a probability of 0.8 is right four times of five. Orange is the distance from the "
        "truth; below stand the rows of each bin."
    ): "概率为 0.8 的回答是否五次中对四次。橙色是与事实的距离；下方是每一格的行数。",
    "A point is a row; right answers stand on the dashed line.": (
        "每个点是一行；正确的回答落在虚线上。"
    ),
    "least score": "最低得分",
    "rows that are answered": "回答的行",
    "right ones of them": "其中正确的",
    "right ones of all rows": "占全部行的正确比例",
    (
        "Calibration error {after}, and {before} before the temperature of {temperature} that "
        "validation rows gave."
    ): "校准误差 {after}；使用验证数据得到的温度 {temperature} 之前为 {before}。",
    "It answers where at least {precision} of like answers were right on validation rows.": (
        "在验证数据上同类回答至少有 {precision} 正确时才回答。"
    ),
    (
        "It answers where a wrong answer, which costs {error}, is unlikely enough to cost less "
        "than none, {none}."
    ): "错误回答的代价为 {error}，不回答的代价为 {none}；错误的可能性小到预期代价更低时才回答。",
    "It answers what is as sure as the surest {coverage} of the validation rows.": (
        "把握不低于验证数据中最有把握的 {coverage} 时才回答。"
    ),
    (
        "What a version answers that abstains below one threshold; the point is this version at "
        "its own."
    ): "只有一个阈值、低于它便弃答的版本会怎样；圆点是本版本按自己的阈值的结果。",
    "Thresholds of {labels} labels": "{labels} 个标签的阈值",
    "answered above": "高于此得分才回答",
    "answered": "已回答",
    "never": "从不",
    "kind": "类别",
    "length": "长度",
    "script": "文字",
    "of the others": "其他行",
    "The rows were deleted with their dataset; the figures stay.": (
        "各行已随数据集删除；指标保留。"
    ),
    "Every row was answered right.": "每一行都回答正确。",
    (
        "The {shown} of {wrong} that cost the model most, hardest first. All: tunery errors "
        "{evaluation}"
    ): "{wrong} 个错误中损失最大的 {shown} 个，最难的在前。全部：tunery errors {evaluation}",
    "most alike in training:": "训练集中最相似的一行：",
    "line": "行号",
    "text": "文本",
    "score": "得分",
    "loss": "损失",
    "{first} to {last}": "第 {first} 至 {last} 个",
    "By confusion": "按混淆查看",
    "evaluation": "评估",
    "runtime": "运行时",
    "latency": "延迟",
    (
        "{half} ms for half of single texts, {most} ms for 19 of 20; {device}, {threads} threads, "
        "without queue and HTTP"
    ): (
        "单条文本半数不超过 {half} 毫秒，二十条中十九条不超过 {most} 毫秒；"
        "{device}，{threads} 线程，不含排队与 HTTP"
    ),
    "evaluations of these rows by then": "截至当时这些数据的评估次数",
    "rows seen in training": "训练中见过的行",
    "{seen} of {rows}, compared with {compared} rows of the lineage": (
        "{rows} 行中的 {seen} 行，与来源数据的 {compared} 行比较"
    ),
    "{metric} without them: {value}": "去除后的 {metric}：{value}",
    "not compared, because deleted:": "因已删除而未比较：",
    "dataset": "数据集",
    "deleted": "已删除",
    "its fingerprint": "其指纹",
    "version": "版本",
    "base model": "基础模型",
    "trained on": "训练数据",
    "by": "来自",
    "manifest": "清单",
    "test rows kept from training by": "测试数据的封存方式",
    "export against torch": "导出与 torch 对比",
    "{changed} of {rows} answers changed, probabilities by {difference} at most": (
        "{rows} 个回答中 {changed} 个改变，概率最多相差 {difference}"
    ),
    "hyperparameters": "超参数",
    # Plots
    "The model beside what it has to beat": "模型与必须超过的基线",
    "Rows by true label (line) and given label (column)": "按真实标签（行）和回答（列）的行数",
    "{true} → {given}: {rows} rows, {share}": "{true} → {given}：{rows} 行，{share}",
    "How often answers are right, by how probable they are said to be": (
        "按所称概率看回答正确的比例"
    ),
    "probability that the model gives": "模型给出的概率",
    "share that is right": "正确的比例",
    "{rows} rows: {sure} said, {right} right": "{rows} 行：所称 {sure}，正确 {right}",
    "Precision and recall, where only sure answers are given": "只回答有把握时的精确率与召回率",
    "recall: right ones of all rows": "召回率：占全部行的正确比例",
    "precision: right ones of the answers": "精确率：回答中正确的比例",
    "score {score} or more: {answered} answered, {precision} of them right": (
        "得分不低于 {score}：回答 {answered}，其中正确 {precision}"
    ),
    "How many answers are right, by how many rows are answered": "按回答的行数看回答的正确比例",
    "coverage: answered ones of all rows": "覆盖率：回答的行占全部行的比例",
    "right ones of the answers": "回答中正确的比例",
    "as served: {answered} answered, {precision} of them right": (
        "按实际服务：回答 {answered}，其中正确 {precision}"
    ),
    "True numbers and what was answered": "真实数值与回答",
    "true number": "真实数值",
    # Findings
    "A label is found too seldom": "某标签漏检过多",
    "A label is given too often": "某标签给出过多",
    "Two labels are taken for each other": "两个标签互相混淆",
    "One kind of rows does worse": "某类数据表现较差",
    "The model knows its training rows by heart": "模型只是记住了训练数据",
    "The model has learned too little": "模型学得不够",
    "The model is too sure of its answers": "模型对回答过于自信",
    "The model is less sure than it could be": "模型对回答不够自信",
    "The model has seen some of these rows": "模型见过其中一些数据",
    "Rows of the dataset stand on both sides": "数据集中有数据同时出现在两侧",
    "The dataset contradicts itself": "数据集自相矛盾",
    "These rows have been looked at often": "这些数据已被多次查看",
    (
        "Read its errors; add training rows, say more clearly what belongs to it, or merge it with "
        "the label that it is taken for."
    ): "请阅读它的错误；添加训练数据，更清楚地界定该标签，或与常被混淆的标签合并。",
    (
        "Add training rows of the labels that are taken for it, or weigh classes (imbalance: "
        "class_weights); ask for more certainty before acting on it."
    ): (
        "请为被误判成它的标签添加训练数据，或使用类别权重（imbalance: class_weights）；"
        "据此行动之前要求更高的把握。"
    ),
    (
        "Read the examples: if people would part them no better, merge the labels; else add "
        "training rows that show the difference."
    ): "请阅读示例：如果人也分不清，就合并标签；否则添加能体现差别的训练数据。",
    (
        "Its temperature was fitted to other rows: fine-tune with validation rows that are like "
        "these, and set thresholds by measured precision, not by the score."
    ): (
        "温度是在其他数据上拟合的：请用与此相似的验证数据微调，并按实测的精确率而不是得分设定阈值。"
    ),
    (
        "Trust the figures without them (lineage.without), or evaluate on rows that no dataset of "
        "its lineage has."
    ): "请以去除这些行后的指标（lineage.without）为准，或用其来源数据集中没有的数据评估。",
    "Register it again with policies.leakage drop_from_train: figures flatter now.": (
        "请用 policies.leakage drop_from_train 重新注册：目前的指标偏高。"
    ),
    (
        "No model can be right on all of them: decide which label is meant, by a relabel transform "
        "or policies.conflicts."
    ): ("没有模型能全部答对：请用 relabel 变换或 policies.conflicts 确定正确的标签。"),
    (
        "Read its errors; add training rows of this kind, or clean those that are there. Serve "
        "such texts with care until then."
    ): "请阅读它的错误；添加这类训练数据，或清理已有的。在此之前，对这类文本要谨慎。",
    (
        "Train for fewer epochs or stop early, raise dropout or weight_decay, freeze layers; more "
        "training rows help most."
    ): ("请减少训练轮数或提前停止，提高 dropout 或 weight_decay，冻结若干层；增加训练数据最有效。"),
    (
        "Train for more epochs or at a higher learning_rate, unfreeze layers, take a larger base "
        "model or the recipe best; check that max_length does not cut off what matters."
    ): (
        "请增加训练轮数或提高 learning_rate，解冻更多层，选用更大的基础模型或方案 best；"
        "并检查 max_length 没有截掉关键内容。"
    ),
    (
        "Choose between versions on validation rows, and register rows that nobody has seen before "
        "the next claim: the best of many looks flatters."
    ): (
        "请用验证数据在各版本间选择，并在下次下结论之前注册没有人看过的数据："
        "多次查看中最好的一次会偏高。"
    ),
    # Metrics
    "Share of the rows that are answered right.": "回答正确的行的比例。",
    "Mean of the labels' recall: each label counts the same.": "各标签召回率的均值，标签权重相同。",
    "Share of the rows of which every label is right.": "所有标签都正确的行的比例。",
    "Share of wrong decisions, a label of a row each. Less is better.": (
        "错误判断的比例，每行每个标签算一次。越小越好。"
    ),
    "F1 as the mean over labels: each counts the same.": "各标签 F1 的均值，标签权重相同。",
    "F1 of all decisions together: frequent labels count more.": (
        "全部判断合计的 F1，常见标签权重更大。"
    ),
    "F1 as the mean over labels, by their rows.": "按行数加权的各标签 F1 均值。",
    "How many of a label's answers are right; mean over labels.": (
        "回答为某标签的行中正确的比例，取各标签均值。"
    ),
    "How many of a label's rows are found; mean over labels.": (
        "某标签的行被找出的比例，取各标签均值。"
    ),
    "Share of the rows that the version answers; of the others it is not sure enough.": (
        "该版本回答的行的比例；其余的行把握不足。"
    ),
    "Share of the answered rows that are answered right.": "已回答的行中回答正确的比例。",
    "Share of wrong ones among the surest rows, as the mean over how many. Less is better.": (
        "最有把握的若干行中错误的比例，取各行数的均值。越小越好。"
    ),
    "Correlation of answers and truth; 0 is chance, 1 is perfect.": (
        "回答与事实的相关性；0 为随机，1 为完美。"
    ),
    "Agreement beyond what chance would give.": "超出偶然的一致程度。",
    "Share of the rows whose label is among the three most probable.": (
        "真实标签在概率最高的三个之中的行的比例。"
    ),
    "Share of the rows whose label is among the five most probable.": (
        "真实标签在概率最高的五个之中的行的比例。"
    ),
    "How well probabilities put a label's rows before others; 0.5 is chance.": (
        "概率把某标签的行排在其他行之前的能力；0.5 为随机。"
    ),
    "Area under the precision-recall curve; mean over labels.": (
        "精确率-召回率曲线下的面积，取各标签均值。"
    ),
    "How far probabilities are from how often they are right. Less is better.": (
        "概率与实际正确率的差距。越小越好。"
    ),
    "What training makes small. Less is better.": "训练所减小的量。越小越好。",
    "Mean distance from the true number. Less is better.": "与真实数值的平均距离。越小越好。",
    (
        "Root of the mean squared distance; large errors count more. Less is better."
    ): "均方根距离，大误差权重更大。越小越好。",
    "Share of the variance that is explained; 1 is perfect, 0 is the mean.": (
        "解释的方差比例；1 为完美，0 相当于均值。"
    ),
    "Linear correlation with the true numbers.": "与真实数值的线性相关。",
    "Correlation of the ranks.": "排名的相关性。",
}

# What a finding says, by its type, from its labels and numbers; a weak slice says it in English.
SENTENCES = {
    "weak-class": "“{label}”的 {support:,.0f} 行中找到 {recall:.1%}，其他标签为 {rest:.1%}",
    "over-predicts": (
        "“{label}”被给出 {predicted:,.0f} 次：精确率 {precision:.3f}，召回率 {recall:.3f}"
    ),
    "confused-pair": ("“{label}”被误判为“{other_label}” {there:,.0f} 次，反之 {back:,.0f} 次"),
    "over-fit": "训练行上的指标为 {train:.3f}，这些行上为 {test:.3f}",
    "under-fit": "指标为 {test:.3f}，而 TF-IDF 线性模型为 {tfidf:.3f}",
    "over-confident": "回答所称概率平均为 {confidence:.1%}，实际正确 {accuracy:.1%}",
    "under-confident": "回答所称概率平均为 {confidence:.1%}，实际正确 {accuracy:.1%}",
    "seen-in-training": "{rows:,.0f} 行中有 {overlap:,.0f} 行是模型学习过的",
    "dataset-leakage": (
        "数据集的留出行中有 {normalised:,.0f} 行与训练行相同，另有 {near:,.0f} 行几乎相同"
    ),
    "dataset-conflicts": "数据集中有 {texts:,.0f} 个文本带有多个标签",
    "reused-test-set": "这些测试行已被评估 {uses:,.0f} 次",
}
