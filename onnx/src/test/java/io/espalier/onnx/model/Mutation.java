package io.espalier.onnx.model;

import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;

import io.espalier.onnx.proto.ModelProto;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Damages models: their bytes anywhere, or one of their fields, whatever it means. */
final class Mutation {
    private static final long[] NUMBERS = {
        0,
        1,
        -1,
        2,
        3,
        7,
        8,
        127,
        255,
        1024,
        65536,
        Integer.MAX_VALUE,
        Integer.MIN_VALUE,
        1L << 32,
        1L << 40,
        1L << 62,
        Long.MAX_VALUE,
        Long.MIN_VALUE
    };
    private static final String[] TEXTS = {
        "",
        "x",
        "y",
        "w",
        "h",
        "../w.bin",
        "/etc/passwd",
        "w.bin",
        "a\0b",
        "two\nlines",
        "If",
        "Loop",
        "Constant",
        "ai.onnx",
        "com.microsoft",
        "\ud83d",
        "location",
        "offset",
        "length"
    };

    private final Random random;

    Mutation(long seed) {
        random = new Random(seed);
    }

    /** The bytes of a model with something changed, once or several times. */
    byte[] of(ModelProto model) {
        Message changed = model;
        int times = 1 + random.nextInt(3);
        boolean fields = random.nextInt(3) > 0;
        for (int i = 0; fields && i < times; i++) {
            changed = field(changed);
        }
        byte[] bytes = changed.toByteArray();
        for (int i = 0; !fields && i < times; i++) {
            bytes = bytes(bytes);
        }
        return bytes;
    }

    private byte[] bytes(byte[] given) {
        if (given.length == 0) {
            return given;
        }
        int at = random.nextInt(given.length);
        int to = Math.min(given.length, at + 1 + random.nextInt(40));
        byte[] before = Arrays.copyOf(given, at);
        byte[] part = Arrays.copyOfRange(given, at, to);
        byte[] after = Arrays.copyOfRange(given, to, given.length);
        return switch (random.nextInt(6)) {
            case 0 -> before;
            case 1 -> joined(before, after);
            case 2 -> joined(before, part, part, after);
            case 3 -> {
                byte[] noise = new byte[part.length];
                random.nextBytes(noise);
                yield joined(before, noise, after);
            }
            case 4 -> {
                Arrays.fill(part, (byte) 0xff); // numbers without end
                yield joined(before, part, after);
            }
            default -> {
                byte[] flipped = given.clone();
                flipped[at] ^= (byte) (1 << random.nextInt(8));
                yield flipped;
            }
        };
    }

    private static byte[] joined(byte[]... parts) {
        return ByteString.copyFrom(Arrays.stream(parts).map(ByteString::copyFrom).toList())
                .toByteArray();
    }

    /** A place in a message where a field may be changed. */
    private record Place(Message.Builder holder, FieldDescriptor field) {}

    private Message field(Message message) {
        Message.Builder builder = message.toBuilder();
        List<Place> places = new ArrayList<>();
        collect(builder, places);
        Place place = places.get(random.nextInt(places.size()));
        if (place.field.isRepeated()) {
            list(message, place);
        } else if (random.nextInt(4) == 0) {
            place.holder.clearField(place.field);
        } else {
            place.holder.setField(place.field, other(message, place.field));
        }
        return builder.build();
    }

    private void collect(Message.Builder builder, List<Place> places) {
        for (FieldDescriptor field : builder.getDescriptorForType().getFields()) {
            boolean inside = field.getJavaType() == FieldDescriptor.JavaType.MESSAGE;
            boolean present =
                    field.isRepeated()
                            ? builder.getRepeatedFieldCount(field) > 0
                            : builder.hasField(field);
            if (present || random.nextInt(8) == 0) {
                places.add(new Place(builder, field));
            }
            if (inside && present) {
                if (!field.isRepeated()) {
                    collect(builder.getFieldBuilder(field), places);
                }
                for (int i = 0;
                        field.isRepeated() && i < builder.getRepeatedFieldCount(field);
                        i++) {
                    collect(builder.getRepeatedFieldBuilder(field, i), places);
                }
            }
        }
    }

    private void list(Message message, Place place) {
        Message.Builder holder = place.holder;
        FieldDescriptor field = place.field;
        int count = holder.getRepeatedFieldCount(field);
        int at = count == 0 ? 0 : random.nextInt(count);
        switch (count == 0 ? 0 : random.nextInt(5)) {
            case 0 -> holder.addRepeatedField(field, other(message, field));
            case 1 -> holder.addRepeatedField(field, holder.getRepeatedField(field, at));
            case 2 -> holder.clearField(field);
            case 3 -> {
                var rest = new ArrayList<Object>((List<?>) holder.getField(field));
                rest.remove(at);
                holder.setField(field, rest);
            }
            default -> holder.setRepeatedField(field, at, other(message, field));
        }
    }

    private Object other(Message root, FieldDescriptor field) {
        return switch (field.getJavaType()) {
            case INT -> (int) NUMBERS[random.nextInt(NUMBERS.length)];
            case LONG -> NUMBERS[random.nextInt(NUMBERS.length)];
            case FLOAT -> random.nextBoolean() ? Float.NaN : random.nextFloat();
            case DOUBLE -> random.nextBoolean() ? Double.NaN : random.nextDouble();
            case BOOLEAN -> random.nextBoolean();
            case STRING -> TEXTS[random.nextInt(TEXTS.length)];
            case BYTE_STRING -> {
                byte[] noise = new byte[random.nextInt(9)];
                random.nextBytes(noise);
                yield ByteString.copyFrom(noise);
            }
            case ENUM -> {
                var values = field.getEnumType().getValues();
                yield values.get(random.nextInt(values.size()));
            }
            case MESSAGE -> messageLike(root, field);
        };
    }

    /** A message of the field's type from anywhere in the model, or an empty one. */
    private Message messageLike(Message root, FieldDescriptor field) {
        List<Message> found = new ArrayList<>();
        find(root, field.getMessageType().getFullName(), found);
        return found.isEmpty() || random.nextInt(4) == 0
                ? empty(field)
                : found.get(random.nextInt(found.size()));
    }

    private static Message empty(FieldDescriptor field) {
        return com.google.protobuf.DynamicMessage.newBuilder(field.getMessageType()).build();
    }

    private static void find(Message message, String type, List<Message> found) {
        if (message.getDescriptorForType().getFullName().equals(type)) {
            found.add(message);
        }
        message.getAllFields()
                .forEach((field, value) -> {
                    if (field.getJavaType() == FieldDescriptor.JavaType.MESSAGE) {
                        List<?> inside = field.isRepeated() ? (List<?>) value : List.of(value);
                        inside.forEach(inner -> find((Message) inner, type, found));
                    }
                });
    }
}
