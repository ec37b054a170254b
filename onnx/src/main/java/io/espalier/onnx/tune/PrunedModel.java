package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;

import java.util.List;

/**
 * A model with zeros where its weights were pruned.
 *
 * @param model the model; all but those weights is as it was
 * @param layers what became of each layer with a weight, in the graph's order
 */
public record PrunedModel(OnnxModel model, List<Layer> layers) {
    /** Copies the list. */
    public PrunedModel {
        layers = List.copyOf(layers);
    }

    /**
     * A layer.
     *
     * @param name its node's name
     * @param operator what the node calls
     * @param weight the name under which the file holds its weight
     * @param shape the weight's shape in the file, outermost dimension first
     * @param elements how many elements the weight has
     * @param zeros how many of them are zero
     * @param note why it was not pruned; empty if it was
     */
    public record Layer(
            String name,
            String operator,
            String weight,
            List<Long> shape,
            long elements,
            long zeros,
            String note) {
        /** Copies the shape. */
        public Layer {
            shape = List.copyOf(shape);
        }

        /** The share of zeros in the weight, from 0 to 1. */
        public double sparsity() {
            return (double) zeros / elements;
        }
    }

    /** The number of elements of all these layers' weights. */
    public long elements() {
        return layers.stream().mapToLong(Layer::elements).sum();
    }

    /** How many of them are zero. */
    public long zeros() {
        return layers.stream().mapToLong(Layer::zeros).sum();
    }

    /** The share of zeros in all these layers' weights, from 0 to 1. */
    public double sparsity() {
        return (double) zeros() / Math.max(1, elements());
    }
}
