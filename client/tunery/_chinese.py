"""Chinese: each message of the SDK's progress display and of the command line, by its English."""

CHINESE: dict[str, str] = {
    # Help
    "Usage: ": "用法：",
    "Options": "选项",
    "Commands": "命令",
    "Show this message and exit.": "显示本帮助并退出。",
    "Show the version and exit.": "显示版本并退出。",
    "Fine-tune a transformer over HTTP, prove it, hot-load it, serve it.": (
        "通过 HTTP 微调 Transformer，评估、热加载并提供服务。"
    ),
    (
        "Fine-tune a transformer over HTTP, prove it, hot-load it, serve it. "
        "Exit status: 0 done; 1 refused; 2 wrong usage; 3 the data was rejected; 4 a job or a "
        "deployment failed; 5 the service can't be reached; 130 interrupted."
    ): (
        "通过 HTTP 微调 Transformer，评估、热加载并提供服务。"
        "退出状态：0 完成；1 被拒绝；2 用法错误；3 数据被拒绝；4 任务或部署失败；"
        "5 无法连接服务；130 被中断。"
    ),
    "Print JSON on stdout.": "在标准输出打印 JSON。",
    "Where the service is (TUNERY_URL).": "服务地址（TUNERY_URL）。",
    "Start the service.": "启动服务。",
    "Start the service. `tunery serve --help` lists its settings.": (
        "启动服务。`tunery serve --help` 列出全部设置。"
    ),
    "Register datasets, check files, see what was found in them.": (
        "注册数据集，检查文件，查看检查结果。"
    ),
    "Upload FILE and register it; prints what was found in it.": (
        "上传并注册 FILE，打印检查结果。"
    ),
    "The training rows, instead of FILE.": "训练数据，代替 FILE。",
    "The validation rows.": "验证数据。",
    "The test rows.": "测试数据。",
    "The column of the texts; guessed.": "文本列；默认自动判断。",
    "What is learned.": "学习的任务类型。",
    "What parts several labels; else a JSON list.": "多个标签之间的分隔符；默认为 JSON 列表。",
    "task": "任务类型",
    "The column of a second text each.": "每行第二条文本的列。",
    "Each is two texts with a tab between.": "每项是两条文本，中间用制表符分隔。",
    "{text}: there is no tab between two texts": "{text}：两条文本之间没有制表符",
    "The column of the labels; guessed.": "标签列；默认自动判断。",
    "Variants of one label.": "同一标签的不同写法。",
    "Rows that repeat another.": "重复的行。",
    "One text under several labels.": "同一文本有多个标签。",
    "Training texts that test has, too.": "测试集中也有的训练文本。",
    "Texts that are nearly the same.": "几乎相同的文本。",
    "Of the file: a codec's name, or auto.": "文件编码：编解码器名称或 auto。",
    "Rows without a text.": "没有文本的行。",
    "Name of the dataset; else the file's. The same again is a version.": (
        "数据集名称；默认取文件名。同名再次注册即为新版本。"
    ),
    "Return while the file is validated.": "不等待校验完成。",
    "List rows of DATASET whose label is likely wrong, the worst first.": (
        "列出 DATASET 中标签可能有误的行，最可疑的在前。"
    ),
    "List rows of DATASET whose label is likely wrong, the worst first. Where nobody has looked "
    "for them yet, a job does so first.": (
        "列出 DATASET 中标签可能有误的行，最可疑的在前。如果尚未查找过，会先启动一个任务查找。"
    ),
    "Look again, whatever was found before.": "重新查找，不管之前的结果。",
    "Look again with this one; else minilm-l6.": "用该模型重新查找；默认 minilm-l6。",
    "Make the next version of DATASET, in which rows have other labels.": (
        "生成 DATASET 的下一个版本，其中一些行换了标签。"
    ),
    "Make the next version of DATASET, in which rows have other labels. FILE is what "
    "`label-issues --csv` prints, without the rows that are right as they are: each row gets its "
    "suggested_label.": (
        "生成 DATASET 的下一个版本，其中一些行换了标签。FILE 是 `label-issues --csv` 的输出，"
        "并已删去标签无误的行：每一行都改用其 suggested_label。"
    ),
    "Take the suggestion for each label issue of at most this quality.": (
        "质量不超过该值的标签问题都采用建议的标签。"
    ),
    "Make the next version from the rows of DATASET, which stays as it is.": (
        "用 DATASET 的数据生成下一个版本；DATASET 本身不变。"
    ),
    (
        "Make the next version from the rows of DATASET, which stays as it is. "
        "The policies of DATASET hold; once one is given here, the others are the defaults."
    ): (
        "用 DATASET 的数据生成下一个版本；DATASET 本身不变。"
        "默认沿用 DATASET 的策略；只要在此给出任意一项，其余各项即取默认值。"
    ),
    "What is done; repeats.": "执行的操作；可重复。",
    "Rename or join labels; repeats.": "重命名或合并标签；可重复。",
    "Check FILE on this machine, without a service; needs the trainer installed.": (
        "在本机检查 FILE，不需要服务；需要安装 trainer。"
    ),
    "List datasets, newest first.": "列出数据集，最新的在前。",
    "Only so.": "只列出该状态。",
    "Only versions of this one.": "只列出该数据集的版本。",
    "At most.": "最多条数。",
    "Show DATASET, an id or a name.": "显示 DATASET（id 或名称）。",
    "Show everything that was found in DATASET.": "显示 DATASET 的全部检查结果。",
    "Every finding and dropped row, a line each.": "逐行列出每个问题和每个被去除的行。",
    "Delete DATASET, one version; models that were trained on it stay.": (
        "删除 DATASET（一个版本）；用它训练的模型保留。"
    ),
    "Show what changed in DATASET against the one named SINCE.": (
        "显示 DATASET 相对于 SINCE 的变化。"
    ),
    "Fine-tune on DATASET, an id or a name.": "用 DATASET（id 或名称）微调。",
    "Fine-tune on DATASET, an id or a name. Watches it; Ctrl-C leaves it running.": (
        "用 DATASET（id 或名称）微调并跟踪进度；按 Ctrl-C 后任务继续运行。"
    ),
    "Name of the model that gets a new version.": "得到新版本的模型名称。",
    "What is fine-tuned: a base model, or a version such as intent/2.": (
        "要微调的模型：一个基础模型，或一个版本，例如 intent/2。"
    ),
    "Chooses the best checkpoint, such as macro_f2 or recall@spam.": (
        "用于选择最佳检查点的指标，例如 macro_f2 或 recall@spam。"
    ),
    "Named defaults: tunery recipes.": "一组命名的默认设置：见 tunery recipes。",
    "List named defaults.": "列出命名的默认设置。",
    "List named defaults. With NAME, each rule of that one and its source.": (
        "列出命名的默认设置；给出 NAME 则列出其中每条规则及其来源。"
    ),
    "Passes over the training split.": "遍历训练集的次数。",
    "Peak of the schedule.": "学习率峰值。",
    "Examples of one optimizer step.": "每个优化步的样本数。",
    "Optimizer steps, instead of epochs.": "优化步数，代替轮数。",
    "End the run in time; the best checkpoint is kept.": "限定时间；保留最好的检查点。",
    "Tokens of a text.": "每条文本的词元数。",
    "Of everything random.": "随机种子。",
    "Any hyperparameter.": "任意超参数。",
    "Deploy the new version under this name.": "以此名称部署新版本。",
    (
        "Answer only where sure: precision=0.95, coverage=0.8, or cost=5, which is what a wrong "
        "answer costs where none costs 1."
    ): (
        "只在有把握时回答：precision=0.95、coverage=0.8，"
        "或 cost=5（错误回答的代价，不回答的代价为 1）。"
    ),
    "Leave the test split unread.": "不读取测试集。",
    "Higher goes first.": "数值高的先运行。",
    "Only rehearse it, on a hundredth of the rows.": "只用百分之一的数据演练一遍。",
    "It trained, was saved, exported, loaded and asked; nothing is kept.": (
        "训练、保存、导出、加载、预测均已完成；不保留任何结果。"
    ),
    "seconds a step": "每步秒数",
    "a checkpoint": "单个检查点",
    "the version": "版本",
    "served by": "提供服务",
    "largest difference": "最大差异",
    "Only forecast steps, time, memory and disk.": "只预估步数、时间、内存和磁盘。",
    "the pace of {job}": "{job} 的速度",
    "the pace of {job}, which was set otherwise": "{job} 的速度（其设置不同）",
    "steps": "步数",
    "time": "时间",
    "rests on": "依据",
    "memory": "内存",
    "queue": "排队",
    "Return at once, without watching.": "立即返回，不跟踪进度。",
    "See what runs, watch it, stop it.": "查看、跟踪和停止任务。",
    "List jobs, newest first.": "列出任务，最新的在前。",
    "Only of this kind.": "只列出该类任务。",
    "Show a job: where it is, what it was told, what became of it.": (
        "显示任务：进度、参数和结果。"
    ),
    "Follow a job to its end.": "跟踪任务直到结束。",
    "Follow a job to its end. Ctrl-C leaves it running.": (
        "跟踪任务直到结束；按 Ctrl-C 后任务继续运行。"
    ),
    "Print the end of a job's log.": "打印任务日志的末尾。",
    "Lines from the end.": "末尾行数。",
    "Print the metrics of a job, by step.": "按步打印任务的指标。",
    "Only these metrics.": "只打印这些指标。",
    "Points of a metric at most; spikes are kept.": "每个指标最多的点数；尖峰会保留。",
    "Print CSV on stdout.": "在标准输出打印 CSV。",
    "Cancel a job; one that has ended stays as it is.": "取消任务；已结束的任务不变。",
    "Pause a fine-tune at its next step; it gives its device back.": (
        "在下一步暂停微调并释放设备。"
    ),
    "Queue a paused fine-tune again; it goes on from its last checkpoint.": (
        "让已暂停的微调重新排队，从最后一个检查点继续。"
    ),
    "Evaluate a version on a dataset.": "在数据集上评估一个版本。",
    "Evaluate a version on a dataset. VERSION is one such as intent/3, or a checkpoint's id.": (
        "在数据集上评估一个版本。VERSION 形如 intent/3，或检查点 id。"
    ),
    "Print the rows that a version has answered wrong.": "打印一个版本答错的行。",
    "Print the rows that a version has answered wrong. EVALUATION is an id.": (
        "打印一个版本答错的行。EVALUATION 是评估 id。"
    ),
    "Compare version A with version B, by their newest evaluations on the same rows.": (
        "按最新的评估，在相同的行上比较版本 A 与版本 B。"
    ),
    "Its id or name; else that which A was trained on.": (
        "数据集的 id 或名称；默认为 A 的训练数据集。"
    ),
    "Only if it is no worse than what serves, in no label either.": (
        "仅当它不比正在服务的版本差，且在任何标签上都不差时。"
    ),
    "Only if a metric is at least so much; it means --gate, too.": (
        "仅当某个指标至少达到该值时；同时表示 --gate。"
    ),
    "Only if 19 of 20 single texts take no longer; it means --gate, too.": (
        "仅当二十条单独文本中有十九条不超过该耗时；同时表示 --gate。"
    ),
    "Its rows count; else those that it was trained on.": (
        "以它的行为准；默认为该版本训练所用的数据集。"
    ),
    "What computes, as it shall serve.": "用什么计算，应与服务时相同。",
    "Of the weights, as it shall serve.": "权重的精度，应与服务时相同。",
    "Only rows that have this label.": "只看真实标签为此的行。",
    "Only rows that were given this label.": "只看被预测为此标签的行。",
    "List evaluations, newest first or by a metric: --sort -accuracy.": (
        "列出评估，最新的在前，或按指标排序：--sort -accuracy。"
    ),
    "Write the report of an evaluation, a page for people.": "写出评估报告，供人阅读的网页。",
    "Write the report of an evaluation, a page for people. EVALUATION is an id.": (
        "写出评估报告，供人阅读的网页。EVALUATION 是一个 ID。"
    ),
    "Where it is written, report.html or PLOT.svg if not given; a name in .md gets the model "
    "card, one in .png the plot as pixels.": (
        "写入的位置，默认 report.html 或 PLOT.svg；"
        "以 .md 结尾则写模型卡片，以 .png 结尾则把图写成像素。"
    ),
    "This one only.": "只要这张图。",
    "a PNG is one plot: give --plot": "PNG 只能是一张图：请给出 --plot",
    "{path} is written": "已写入 {path}",
    "Only of this one: its id or name.": "只列出该数据集的（ID 或名称）。",
    "Only of these rows.": "只列出该划分的。",
    "Only of its versions.": "只列出该模型各版本的。",
    "By it, the least first; -METRIC: the largest.": (
        "按该指标排序，最小的在前；-METRIC 则最大的在前。"
    ),
    "Print all as CSV on stdout.": "在标准输出以 CSV 打印全部。",
    "figure": "指标",
    "uses": "使用次数",
    "Also rows that were answered right.": "也包括答对的行。",
    "Rows at most.": "最多的行数。",
    "What comes first.": "按什么排序。",
    "Told first, such as recall@spam.": "最先给出的指标，例如 recall@spam。",
    "Also the training row that is most like each.": "同时显示训练集中与之最相似的一行。",
    "most alike in training": "训练集中最相似",
    "Its id or name.": "数据集的 id 或名称。",
    "Which rows.": "哪个划分。",
    "List models.": "列出模型。",
    "List models. With NAME, a model or a version such as intent/3, show that one.": (
        "列出模型。给出 NAME（模型或形如 intent/3 的版本）则显示它。"
    ),
    "Let NAME serve a version.": "让 NAME 服务某个版本。",
    (
        "Let NAME serve a version. VERSION is one such as intent/3, or a checkpoint's id. "
        "What serves until then goes on until the new one is ready; no request is dropped."
    ): (
        "让 NAME 服务某个版本。VERSION 形如 intent/3，或检查点 id。"
        "新版本就绪之前旧版本继续服务，不丢失任何请求。"
    ),
    "Engine processes.": "引擎进程数。",
    "Return while it is loading.": "不等待加载完成。",
    "Let NAME serve again what was ready there before.": "让 NAME 恢复之前的版本。",
    "Let NAME serve again what was ready there before. Twice in a row goes forward again.": (
        "让 NAME 恢复之前的版本；连续执行两次则又回到原来的版本。"
    ),
    "Stop serving under NAME; its history stays.": "停止 NAME 的服务；历史记录保留。",
    "List what serves.": "列出正在服务的部署。",
    "List what serves. With NAME, show that one and its history.": (
        "列出正在服务的部署。给出 NAME 则显示它及其历史。"
    ),
    "recreate: unload the old one first, where memory does not hold both.": (
        "recreate：内存放不下两个版本时，先卸载旧版本。"
    ),
    "Let it have other labels than what serves now.": "允许其标签与正在服务的版本不同。",
    "bf16 and int8 are faster where the device has them, and move probabilities.": (
        "设备支持时 bf16 和 int8 更快，概率会略有变化。"
    ),
    "Never unload it to make room for others.": "绝不为其他部署腾出内存而卸载它。",
    "List what serves where, and how much memory it holds.": "列出各设备上的部署及其占用的内存。",
    "Ask a deployment about texts: MODEL about TEXTS, the lines of a file, or stdin.": (
        "让部署 MODEL 预测 TEXTS、文件各行或标准输入。"
    ),
    (
        "Ask a deployment about texts: MODEL about TEXTS, the lines of a file, or stdin. "
        "Prints a line per text: label, score, and the text; of multi_label the given labels go "
        "first, of regression the number alone. Where the version abstains, what it would have "
        'answered follows on "abstain:". With --json an object a line.'
    ): (
        "让部署 MODEL 预测 TEXTS、文件各行或标准输入。"
        "每条文本打印一行：标签、分数和文本；多标签任务先打印给出的标签，回归任务只打印数值。"
        "版本弃答时，“abstain:” 之后是它本来会给出的回答。加 --json 则每行一个对象。"
    ),
    "A text a line; without it and without TEXTS, stdin.": (
        "每行一条文本；不给文件也不给 TEXTS 时读标准输入。"
    ),
    "Labels each.": "每条文本的标签数。",
    "Make, list and delete API keys.": "创建、列出和删除 API 密钥。",
    "List the keys; secrets are never shown again.": "列出密钥；不再显示密钥内容。",
    "Make a key called NAME; its secret is printed once, alone on stdout.": (
        "创建名为 NAME 的密钥；内容只在标准输出打印一次。"
    ),
    "Each may do what those before it may.": "后者包含前者的权限。",
    "Until it expires; else never.": "有效天数；默认永久。",
    "Delete the key with this id; it is refused within a second.": (
        "删除该 id 的密钥；一秒内即失效。"
    ),
    "Look for what is missing or wrong.": "检查本机和服务的问题。",
    "Look for what is missing or wrong. Says what to do about it, and mends nothing.": (
        "检查本机和服务的问题并给出建议，不做任何修改。"
    ),
    "Print the metrics of the service.": "打印服务的指标。",
    "Print the metrics of the service. They are in the Prometheus text format.": (
        "打印服务的指标，格式为 Prometheus 文本格式。"
    ),
    "Explain a problem CODE.": "解释问题代码 CODE。",
    "Explain a problem CODE. Without one, list them all.": (
        "解释问题代码 CODE；不给代码则列出全部。"
    ),
    "Print a completion script.": "打印补全脚本。",
    "Print a completion script. Source it in the profile of SHELL.": (
        "打印补全脚本，请在 SHELL 的配置文件中加载。"
    ),
    # Progress
    "queued": "排队中",
    "running": "运行中",
    "pausing": "正在暂停",
    "paused": "已暂停",
    "cancelling": "正在取消",
    "succeeded": "成功",
    "failed": "失败",
    "cancelled": "已取消",
    "validating": "验证中",
    "ready": "就绪",
    "loading": "加载中",
    "idle": "已卸载，按需加载",
    "degraded": "降级",
    "stopped": "已停止",
    "rejected": "被拒绝",
    "tokenising": "分词中",
    "embedding": "计算向量中",
    "fitting": "拟合中",
    "judging": "判断中",
    "probing": "线性探测中",
    "training": "训练中",
    "refitting": "用全部数据重训中",
    "exporting": "导出中",
    "evaluating": "评估中",
    "measuring": "计算指标",
    "reading": "读取中",
    "comparing": "比较中",
    "checking": "检查中",
    "writing": "写入中",
    "waiting-for-device": "等待设备",
    "waiting-for-slot": "等待空位",
    "backing-off": "等待重试",
    "queued, number {position}: {reason}": "排队第 {position} 位：{reason}",
    ", starts in {time}": "，{time}后开始",
    "step {step}/{total}": "第 {step}/{total} 步",
    "loss {loss:.3f}": "损失 {loss:.3f}",
    "{rate:.0f} examples/s": "{rate:.0f} 样本/秒",
    "{time} left": "剩余 {time}",
    "{seconds:.0f} s": "{seconds:.0f} 秒",
    "{minutes} min {seconds} s": "{minutes} 分 {seconds} 秒",
    "{hours} h {minutes} min": "{hours} 小时 {minutes} 分",
    "{time} ago": "{time}前",
    "uploading": "上传中",
    "looking": "检查中",
    "{phase}, {rows} rows": "{phase}，{rows} 行",
    # Heads and names
    "id": "id",
    "name": "名称",
    "status": "状态",
    "rows": "行数",
    "labels": "标签",
    "label": "标签",
    "metric": "指标",
    "difference": "差值",
    "95 %": "95 % 区间",
    "fixed": "修正",
    "broken": "变错",
    "p": "p 值",
    "worse in": "变差之处",
    "latency": "延迟",
    "made": "创建",
    "splits": "划分",
    "columns": "列",
    "format": "格式",
    "warnings": "警告",
    "errors": "错误",
    "error": "错误",
    "parent": "上一版本",
    "job": "任务",
    "fingerprint": "指纹",
    "before": "之前",
    "after": "之后",
    "added": "新增",
    "removed": "删除",
    "relabelled": "改标签",
    "moved": "换划分",
    "unchanged": "未变",
    "transforms": "变换",
    "rows changed": "改动行数",
    "rows removed": "移除行数",
    "deployment": "部署",
    "deployments": "部署",
    "serves": "服务版本",
    "wanted": "期望版本",
    "runtime": "运行时",
    "replicas": "副本",
    "device": "设备",
    "pinned": "已固定",
    "of {size}": "共 {size}",
    "changed": "更新",
    "load": "加载",
    "version": "版本",
    "versions": "版本数",
    "outcome": "结果",
    "at": "时间",
    "precision": "精确率",
    "recall": "召回率",
    "f1": "F1",
    "accuracy": "准确率",
    "macro_f1": "宏平均 F1",
    "weighted_f1": "加权 F1",
    "loss": "损失",
    "predicted": "预测",
    "decision": "决定",
    "suggested label": "建议的标签",
    "quality": "质量",
    "baselines": "基线",
    "rows seen in training": "训练中见过的行",
    "score": "得分",
    "weakest labels": "最弱的标签",
    "hyperparameters": "超参数",
    "progress": "进度",
    "step": "步",
    "attempt": "尝试",
    "evaluation": "评估",
    "dataset": "数据集",
    "started": "开始",
    "finished": "结束",
    "scope": "权限",
    "last used": "最近使用",
    "expires": "过期",
    "model": "模型",
    "newest": "最新",
    "base model": "基础模型",
    "recipe": "方案",
    "hyperparameter": "超参数",
    "rule": "规则",
    "source": "来源",
    "checkpoint": "检查点",
    "size": "大小",
    "parity": "一致性",
    "code": "代码",
    "HTTP": "HTTP",
    "line": "行号",
    "text": "文本",
    "lines": "行号",
    "also written": "其他写法",
    "differs in": "差异",
    "case": "大小写",
    "space": "空格",
    "width": "全半角",
    "look-alike": "形近字符",
    "composition": "字符组合方式",
    "meaning": "同义词",
    "left out": "去除的行",
    "tokens": "词元",
    "scripts": "文字",
    "personal data": "个人信息",
    "latin": "拉丁文",
    "han": "汉字",
    "kana": "假名",
    "hangul": "谚文",
    "cyrillic": "西里尔文",
    "greek": "希腊文",
    "arabic": "阿拉伯文",
    "hebrew": "希伯来文",
    "devanagari": "天城文",
    "thai": "泰文",
    "emoji": "表情符号",
    "other": "其他文字",
    "email": "电子邮件",
    "phone": "电话号码",
    "resident_id": "身份证号",
    "bank_card": "银行卡号",
    "iban": "IBAN",
    "ip_address": "IP 地址",
    "repeated rows": "重复的行",
    "texts under several labels": "有多个标签的文本",
    "training texts that a held-out split has": "留出集中也有的训练文本",
    # Reports
    "accepted": "通过",
    "accepted, to predict": "通过，仅用于预测",
    "accepted, with warnings": "通过，有警告",
    "{rows} read, {accepted} accepted": "读取 {rows}，接受 {accepted}",
    " (guessed)": "（自动判断）",
    "{count} labels": "{count} 个标签",
    "and {count} more": "还有 {count} 个",
    "what to do next": "下一步",
    "  More on each: tunery problems CODE": "  详情：tunery problems CODE",
    "Nothing to mend.": "没有问题。",
    "Register it: tunery datasets add {files}": "注册：tunery datasets add {files}",
    "{p50} in the median, 95 % {p95}, 99 % {p99}, at most {max}; max_length {suggested}": (
        "中位数 {p50}，95 % {p95}，99 % {p99}，最多 {max}；max_length {suggested}"
    ),
    "; {share} unknown to {model}": "；{model} 词表缺少 {share}",
    (
        "{changed} of {rows} rows get another label than in training;"
        " probabilities differ by {difference} at most"
    ): "{rows} 行中有 {changed} 行的标签与训练时不同；概率最多相差 {difference}",
    # What is going on
    "{id} is being validated": "正在校验 {id}",
    "Train on it: tunery finetune {name} --model MODEL": (
        "开始训练：tunery finetune {name} --model MODEL"
    ),
    "{version} is registered": "已登记 {version}",
    "The model was trained on these rows; new texts will do worse.": (
        "模型用这些数据训练过；新文本的结果会更差。"
    ),
    "evaluating on the test split": "正在测试集上评估",
    "{name} serves {version}; ask it: tunery predict {name} TEXT": (
        "{name} 正在服务 {version}；试试：tunery predict {name} TEXT"
    ),
    "Serve it: tunery deploy NAME {version}": "部署：tunery deploy NAME {version}",
    "Watch it: tunery jobs watch {id}": "跟踪：tunery jobs watch {id}",
    "\n{id} goes on.": "\n{id} 继续运行。",
    "  Watch it again: tunery jobs watch {id}": "  继续跟踪：tunery jobs watch {id}",
    "  Stop it:        tunery jobs cancel {id}": "  停止任务：tunery jobs cancel {id}",
    "Keep it: it is not shown again. Use it as TUNERY_API_KEY.": (
        "请保存：不会再次显示。用作 TUNERY_API_KEY。"
    ),
    "{id} is deleted": "已删除 {id}",
    "One text a line; Ctrl-D ends.": "每行一条文本；按 Ctrl-D 结束。",
    "the log is empty": "日志为空",
    "{abstained} of {total} texts are not answered: the version is not sure enough": (
        "{total} 条文本中有 {abstained} 条没有回答：该版本把握不足"
    ),
    "{cut} of {total} texts were cut at {tokens} tokens": (
        "{total} 条文本中有 {cut} 条在 {tokens} 个词元处被截断"
    ),
    "{count} empty lines were left out": "略去 {count} 个空行",
    # Faults
    "See: tunery keys list": "请看：tunery keys list",
    "See: tunery datasets list": "请看：tunery datasets list",
    "Wait until it is ready; where it was rejected: tunery datasets report ID": (
        "请等待其就绪；若已被拒绝：tunery datasets report ID"
    ),
    "See: tunery jobs list": "请看：tunery jobs list",
    "See: tunery models; what serves: tunery deployments": (
        "请看：tunery models；正在服务的部署：tunery deployments"
    ),
    "See: tunery deployments": "请看：tunery deployments",
    "{url} does not answer: {why}": "{url} 没有响应：{why}",
    "Is it running? Start it with: tunery serve": "服务在运行吗？启动：tunery serve",
    "Its log: tunery jobs logs {id}": "日志：tunery jobs logs {id}",
    "More: tunery problems {code}": "详情：tunery problems {code}",
    "See {command} --help": "参见 {command} --help",
    "there is no option {name}": "没有选项 {name}",
    "{name} is missing": "缺少 {name}",
    "; did you mean {name}?": "；是否指 {name}？",
    "; there are {names}": "；可用的有 {names}",
    "`tunery serve` makes one here, in its data directory.": (
        "`tunery serve` 会在其数据目录中创建密钥。"
    ),
    "{name} can't be {value}": "{name} 不能是 {value}",
    "; it must be {bound}": "；必须 {bound}",
    "there is no hyperparameter {name}": "没有超参数 {name}",
    "there is no recipe {name}": "没有方案 {name}",
    "there is no problem {code}": "没有问题代码 {code}",
    "there is no dataset {name}; see: tunery datasets list": (
        "没有数据集 {name}；请看：tunery datasets list"
    ),
    "give FILE, or --train and --test": "请给出 FILE，或 --train 和 --test",
    "give FILE or --max-quality": "请给出 FILE 或 --max-quality",
    "there are no rows to relabel": "没有要改标签的行",
    "the file must have columns line and suggested_label: {why}": (
        "文件必须有 line 和 suggested_label 两列：{why}"
    ),
    "Find them: tunery datasets label-issues DATASET": (
        "先查找：tunery datasets label-issues DATASET"
    ),
    "give --op or --relabel": "请给出 --op 或 --relabel",
    "--relabel {pair}: write it as OLD=NEW": "--relabel {pair}：请写成 OLD=NEW",
    "{text} is not UTF-8": "{text} 不是 UTF-8",
    "line {number} is not UTF-8": "第 {number} 行不是 UTF-8",
    "give TEXTS or --file": "请给出 TEXTS 或 --file",
    "this needs the trainer, which is not installed here. Install it:\n"
    "    pip install 'tunery[trainer]'": (
        "需要 trainer，但本机没有安装。安装：\n    pip install 'tunery[trainer]'"
    ),
    "this needs the server, which is not installed here. Install it:\n"
    "    pip install 'tunery[server,trainer,minilm]'": (
        "需要 server，但本机没有安装。安装：\n    pip install 'tunery[server,trainer,minilm]'"
    ),
    "a PNG needs resvg, which is not installed here. Install it:\n    pip install 'tunery[png]'": (
        "写 PNG 需要 resvg，但本机没有安装。安装：\n    pip install 'tunery[png]'"
    ),
    # The doctor
    "tunery": "tunery",
    "packages": "软件包",
    "devices": "设备",
    "seal": "测试集封存",
    "minilm-l6": "minilm-l6",
    "data directory": "数据目录",
    "disk": "磁盘",
    "service": "服务",
    "clock of the service": "服务的时钟",
    "key": "密钥",
    "trainer": "trainer",
    "installed": "已安装",
    "none": "无",
    "whole": "完整",
    "not installed: {modules}": "未安装：{modules}",
    "Only a machine that serves or trains needs it: pip install '{name}'": (
        "只有提供服务或训练的机器需要：pip install '{name}'"
    ),
    "no GPU ({why}); {count} CPU threads": "没有 GPU（{why}）；{count} 个 CPU 线程",
    "training can't read test rows: Landlock {abi}, seccomp": (
        "训练读不到测试数据：Landlock {abi}、seccomp"
    ),
    "this kernel does not seal test rows: {why}": "该内核不能封存测试数据：{why}",
    "Training works; use Linux 5.13 or newer for the seal.": (
        "训练不受影响；封存需要 Linux 5.13 或更新版本。"
    ),
    "its files are not here": "缺少文件",
    "{path} holds other weights": "{path} 中的权重不同",
    "{path} is not there": "{path} 不存在",
    "{path} is open to others: {mode}": "{path} 对其他用户开放：{mode}",
    "The first `tunery serve` makes it; TUNERY_DATA_DIR names it.": (
        "首次 `tunery serve` 会创建它；用 TUNERY_DATA_DIR 指定。"
    ),
    "{size:.0f} GiB free": "剩余 {size:.0f} GiB",
    "Uploads and fine-tunes stop when it is full.": "磁盘满时上传和微调会停止。",
    "Start it here with `tunery serve`, or name it by TUNERY_URL.": (
        "在本机用 `tunery serve` 启动，或用 TUNERY_URL 指定。"
    ),
    "{url} has tunery {theirs}, this is {ours}": "{url} 是 tunery {theirs}，本机是 {ours}",
    "{seconds:+z.1f} s against this machine": "与本机相差 {seconds:+z.1f} 秒",
}
