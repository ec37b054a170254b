package io.espalier.quant.layer;

import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;

import java.util.Arrays;
import java.util.Map;

/**
 * What a file says of one layer, read value by value: each is checked as the layer's constructor
 * would, since kernels that are handed a wrong number may end the process.
 */
final class Attributes {
    private static final String ENGINE = "engine";
    private static final String CHANNEL_AXIS = "channel_axis";

    private Attributes() {}

    /**
     * The value of a name.
     *
     * @throws EspalierException if there is none
     */
    static String text(Map<String, String> attributes, String name) {
        String value = attributes.get(name);
        if (value == null) {
            throw new EspalierException("a quantized layer in the file lacks '" + name + "'");
        }
        return value;
    }

    /**
     * Yes or no.
     *
     * @throws EspalierException if it is neither, or missing
     */
    static boolean flag(Map<String, String> attributes, String name) {
        return switch (text(attributes, name)) {
            case "true" -> true;
            case "false" -> false;
            default -> throw wrong(attributes, name, "true or false");
        };
    }

    /**
     * A whole number.
     *
     * @throws EspalierException if it is none, missing, or not between {@code least} and {@code
     *     most}
     */
    static long number(Map<String, String> attributes, String name, long least, long most) {
        return number(attributes, name, text(attributes, name), least, most);
    }

    private static long number(
            Map<String, String> attributes, String name, String text, long least, long most) {
        String needed = "a whole number in " + least + "…" + most;
        try {
            long value = Long.parseLong(text);
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException e) {
            throw wrong(attributes, name, needed);
        }
        throw wrong(attributes, name, needed);
    }

    /**
     * Whole numbers, one for each dimension.
     *
     * @throws EspalierException if one is none, or not between {@code least} and {@code most}
     */
    static long[] numbers(Map<String, String> attributes, String name, long least, long most) {
        return Arrays.stream(text(attributes, name).split(",", -1))
                .mapToLong(text -> number(attributes, name, text, least, most))
                .toArray();
    }

    /**
     * A share in 0…1.
     *
     * @throws EspalierException if it is none, or missing
     */
    static double share(Map<String, String> attributes, String name) {
        double value;
        try {
            value = Double.parseDouble(text(attributes, name));
        } catch (NumberFormatException e) {
            throw wrong(attributes, name, "a number in 0…1");
        }
        if (!(value >= 0 && value <= 1)) {
            throw wrong(attributes, name, "a number in 0…1");
        }
        return value;
    }

    /**
     * One of an enum's constants.
     *
     * @throws EspalierException if there is none of this name
     */
    static <E extends Enum<E>> E choice(
            Map<String, String> attributes, String name, Class<E> type) {
        String value = text(attributes, name);
        E[] all = type.getEnumConstants();
        return Arrays.stream(all)
                .filter(one -> one.name().equals(value))
                .findFirst()
                .orElseThrow(() ->
                        wrong(
                                attributes,
                                name,
                                "one of "
                                        + Arrays.stream(all)
                                                .map(Enum::name)
                                                .reduce((a, b) -> a + ", " + b)
                                                .orElse("")));
    }

    /**
     * The library whose kernels the layer runs on.
     *
     * @throws EspalierException if there is none of this name, or this platform does not have it
     */
    static Engine engine(Map<String, String> attributes) {
        return Engine.of(text(attributes, ENGINE)).required();
    }

    /** The dimension of the weight along which scales differ: the first, or −1 for one scale. */
    static int channelAxis(Map<String, String> attributes) {
        return (int) number(attributes, CHANNEL_AXIS, -1, 0);
    }

    private static EspalierException wrong(
            Map<String, String> attributes, String name, String needed) {
        return new EspalierException(
                "its '" + name + "' is '" + attributes.get(name) + "'; needed is " + needed);
    }
}
