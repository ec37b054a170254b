package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;
import java.util.Optional;

/**
 * All that quantization knows of the layers of one class, and of no subclass, which may compute
 * something else. The steps ask the kind; none looks at a layer's class itself. What is not
 * answered here is answered as for a layer that stays in float.
 *
 * @see LayerKinds the catalogue, where a new kind is added
 */
public interface LayerKind {
    /** The class, or the interface that marks such layers. */
    Class<?> type();

    /** Whether converting puts a layer in its place that gives or takes integers by itself. */
    default boolean isQuantized() {
        return false;
    }

    /** Whether its weight becomes integers. */
    default boolean hasWeight() {
        return false;
    }

    /** Whether it is a table of vectors, of which nothing but the weight is quantized. */
    default boolean isTable() {
        return false;
    }

    /** Whether it is linear in its input, with a weight: what a graph fuses others into. */
    default boolean isLinearMap() {
        return false;
    }

    /** Whether it is made of layers that can be quantized each by itself. */
    default boolean isComposed() {
        return false;
    }

    /** Whether its kernel takes integers as they are and gives such, whose scale follows. */
    default boolean passesIntegers(Module layer) {
        return false;
    }

    /** Whether its integer form quantizes floats that it is handed, so that it must know them. */
    default boolean quantizesInput() {
        return false;
    }

    /** Whether its integer form gives integers whatever it is handed. */
    default boolean givesIntegers() {
        return isQuantized();
    }

    /**
     * Makes what observes its output, if anything does.
     *
     * @param activation the observer that the configuration asks for
     * @param training whether the layer is to be trained rounded
     */
    default Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
        return Optional.empty();
    }

    /** Whether its observer is shown what it gives; if not, it only says what is prepared. */
    default boolean showsOutput() {
        return true;
    }

    /** What stands in its place while it is observed; most layers themselves. */
    default Module observed(PlacedLayer place) {
        return place.layer();
    }

    /** Whether its weight is rounded in training. */
    default boolean isTrained() {
        return false;
    }

    /**
     * The form that trains rounded.
     *
     * @param rounding the fake quantization of its weight
     */
    default Module trained(PlacedLayer place, Observer rounding) {
        throw new EspalierException("No quantization-aware training for " + place.layer() + ".");
    }

    /** Whether there is a form with small weights that takes and gives floats. */
    default boolean hasDynamicForm() {
        return false;
    }

    /** Whether dynamic quantization asks for that form; PyTorch leaves some layers alone. */
    default boolean isDynamic() {
        return hasDynamicForm();
    }

    /** The form with small weights. */
    default Module dynamic(PlacedLayer place) {
        throw new EspalierException(
                "No dynamic kernel for the " + place.layer() + " at '" + place.path() + "'.");
    }

    /**
     * What takes its place in a model that computes in integers.
     *
     * @throws EspalierException if its range is not known or there is no kernel for it
     */
    default Module converted(PlacedLayer place) {
        return place.layer();
    }

    /** What takes its place among integers where it is left in float, if it needs to know. */
    default Optional<Module> amongIntegers() {
        return Optional.empty();
    }

    /** How its saved forms are read again, by the name of the form. */
    default Map<String, Reader> forms() {
        return Map.of();
    }

    /** The numbers of its channels, where each can be scaled by scaling its weight. */
    default Optional<Channels> channels(Module layer) {
        return Optional.empty();
    }

    /**
     * How many channels a layer takes and gives, and in how many groups.
     *
     * @param in the size of the input's channel dimension
     * @param out that of the output's
     * @param groups 1 where every output depends on all inputs
     */
    record Channels(long in, long out, long groups) {}

    /** Makes a layer of what a file holds of it. */
    @FunctionalInterface
    interface Reader {
        /**
         * The layer.
         *
         * @param old what stood there in the float model
         * @param tensors the layer's tensors by their names in it
         * @param attributes what else the file says of it
         * @throws RuntimeException if these make no such layer
         */
        Module read(Module old, Map<String, Tensor> tensors, Map<String, String> attributes);
    }
}
