package io.espalier.onnx.quant;

import io.espalier.onnx.quant.matmul.EmbeddingQuantization;
import io.espalier.onnx.quant.matmul.MatMulQuantization;

/** Tables of embeddings stored in as few bits as the settings say. */
final class EmbeddingTables {
    private final QuantizationSettings settings;

    EmbeddingTables(QuantizationSettings settings) {
        this.settings = settings;
    }

    Step after(Step step) {
        if (settings.recipe().isPresent()) {
            Recipe recipe = settings.recipe().get();
            return then(step, EmbeddingQuantization.of(step.model(), name -> bits(name, recipe)));
        }
        return switch (settings.format().embeddingsIn(settings.mode())) {
            case FLOAT -> step;
            case INT8 ->
                    then(step, EmbeddingQuantization.eightBit(step.model(), settings.keptFloat()));
            case INT4 ->
                    then(
                            step,
                            settings.format().embeddings().isPresent()
                                    ? EmbeddingQuantization.fourBit(
                                            step.model(), settings.keptFloat())
                                    : EmbeddingQuantization.fourBitIfLarge(
                                            step.model(), settings.keptFloat()));
        };
    }

    private int bits(String name, Recipe recipe) {
        if (settings.keepsFloat(name)) {
            return EmbeddingQuantization.FLOAT;
        }
        return switch (recipe.precision(name)) {
            case Recipe.INTEGERS -> 8;
            case Recipe.FOUR_BITS -> 4;
            default -> EmbeddingQuantization.FLOAT;
        };
    }

    private static Step then(Step step, MatMulQuantization.Result result) {
        return step.then(result.model(), ProductSearch.layers(result.sites(), "Gather"));
    }
}
