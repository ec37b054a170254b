// A model of text in integers: a table of word vectors, an LSTM over the sentence, a linear layer.
// Dynamic quantization needs no data; static quantization looks at some sentences and then has
// every range fixed. A third model has its table in 4 bits.

import io.espalier.data.Dataset;
import io.espalier.nn.Embedding;
import io.espalier.nn.Functional;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

static final int WORDS = 2000;
static final int LENGTH = 12;

/** Says whether the last opinion in a sentence is a good one. */
static class Opinion extends Module {
    final Embedding words = add("words", new Embedding(WORDS, 32));
    final LSTM sentence = add("sentence", new LSTM(32, 48, o -> o.batchFirst(true)));
    final Linear verdict = add("verdict", new Linear(48, 2));

    @Override
    protected Tensor forward(Tensor indices) {
        Tensor last = Functional.select(sentence.call(words.call(indices)), 1, LENGTH - 1);
        return verdict.call(last);
    }
}

/** Words below 15 are good, below 30 bad, all others no opinion. */
static Dataset sentences(int count, long seed) {
    var random = new Random(seed);
    long[] words = new long[count * LENGTH];
    long[] good = new long[count];
    for (int s = 0; s < count; s++) {
        for (int i = 0; i < LENGTH; i++) {
            int word = random.nextInt(3) == 0 ? random.nextInt(30) : random.nextInt(30, WORDS);
            words[s * LENGTH + i] = word;
            if (word < 30) {
                good[s] = word < 15 ? 1 : 0;
            }
        }
    }
    return Dataset.of(Tensors.of(words, count, LENGTH), Tensors.of(good, count));
}

void main() throws Exception {
    Libtorch.seed(0);
    var model = new Opinion();
    Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), 5e-3))
            .train(sentences(2000, 1), 4);
    model.eval();

    Opinion dynamic = model.copy();
    Quantization.quantizeDynamic(dynamic);

    Opinion fixed = model.copy();
    fixed.qconfig(QConfig.forBackend("x86"));
    Quantization.prepare(fixed);
    fixed.call(sentences(200, 2).all().input());
    Quantization.convert(fixed);
    IO.println(fixed);

    Opinion fourBits = model.copy();
    Quantization.quantizeDynamic(fourBits, QConfig.weightOnly4Bit());

    Path folder = Files.createTempDirectory("text");
    Path plain = folder.resolve("float.safetensors");
    model.save(plain);
    report("float", model, model, plain);
    save("dynamic", model, dynamic, folder);
    save("static", model, fixed, folder);
    save("4-bit table", model, fourBits, folder);
}

static void save(String name, Module model, Module quantized, Path folder) throws Exception {
    Path file = folder.resolve(name + ".safetensors");
    Quantization.save(quantized, file);
    report(name, model, Quantization.load(model, file), file);
}

static void report(String name, Module reference, Module model, Path file) throws Exception {
    Dataset test = sentences(1000, 3);
    Tensor answers = model.call(test.all().input()).argmax(new LongOptional(1), false);
    Tensor expected = reference.call(test.all().input()).argmax(new LongOptional(1), false);
    IO.println(
            "%-12s %7d bytes   right %.3f   as the float model %.3f"
                    .formatted(
                            name,
                            Files.size(file),
                            share(answers, test.all().target()),
                            share(answers, expected)));
}

static double share(Tensor some, Tensor others) {
    return some.eq(others).sum().item_long() / (double) some.numel();
}
