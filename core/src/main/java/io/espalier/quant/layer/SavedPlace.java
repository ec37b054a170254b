package io.espalier.quant.layer;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Convolution;
import io.espalier.nn.Dropout;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Identity;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Recurrent;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Map;

/** Whether a layer of a file can stand for the one that a float model has at its place. */
final class SavedPlace {
    private SavedPlace() {}

    /**
     * Whether a layer fits.
     *
     * @param old the float layer
     * @param restored what the file makes of it
     * @param tensors the file's, by the names that they have in the layer
     */
    static boolean fits(Module old, Module restored, Map<String, Tensor> tensors) {
        Module layer = old instanceof FusedReLU fused ? fused.layer() : old;
        if (layer instanceof IntegerWeighted) {
            return true; // restored at another place already
        }
        return switch (restored) {
            case QuantizedLinear linear -> layer instanceof Linear && sameWeight(layer, tensors);
            case DynamicLinear linear -> layer instanceof Linear && sameWeight(layer, tensors);
            case QuantizedConvolution convolution ->
                    layer instanceof Convolution of
                            && convolution.geometry().equals(Geometry.of(of))
                            && sameWeight(layer, tensors);
            case QuantizedEmbedding table ->
                    layer instanceof Embedding of && sameSize(of, table.rows());
            case QuantizedEmbeddingBag bag ->
                    layer instanceof EmbeddingBag of
                            && of.options().equals(bag.options())
                            && of.numEmbeddings() == bag.rows().count()
                            && of.embeddingDim() == bag.rows().size();
            case QuantizedRecurrent network ->
                    layer instanceof Recurrent of && of.shape().equals(network.shape());
            case DynamicRecurrent network ->
                    layer instanceof Recurrent of && of.shape().equals(network.shape());
            case QFunctional functional -> layer instanceof FloatFunctional;
            case QuantizedReLU6 relu -> layer instanceof ReLU6;
            case QuantizedDropout dropout -> layer instanceof Dropout of && of.p() == dropout.p();
            case FusedReLU fused -> layer instanceof Linear || layer instanceof Convolution;
            case Identity identity ->
                    layer instanceof BatchNorm || layer.namedParameters().isEmpty();
            default -> true;
        };
    }

    private static boolean sameSize(Embedding layer, TableRows rows) {
        return layer.numEmbeddings() == rows.count() && layer.embeddingDim() == rows.size();
    }

    private static boolean sameWeight(Module layer, Map<String, Tensor> tensors) {
        return Arrays.equals(
                Tensors.shape(layer.value("weight")),
                Tensors.shape(QuantizedLayer.required(tensors, "weight")));
    }
}
